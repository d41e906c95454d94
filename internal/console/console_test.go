package console

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lonja/internal/directory/directorytest"
	"lonja/internal/node"
	"lonja/internal/shell"
)

func newNode(t *testing.T) *node.Node {
	n := node.New(node.Options{Directory: directorytest.New(t), Listen: "127.0.0.1:0"})
	t.Cleanup(n.Close)
	return n
}

// play runs a console over the lines of in and returns its transcript.
func play(t *testing.T, in string, set func(*Options)) string {
	t.Helper()
	var out strings.Builder
	lines, stop := NewPlainReader(strings.NewReader(in), &out)
	defer stop()
	opts := Options{Node: newNode(t), Lines: lines, Out: &out}
	if set != nil {
		set(&opts)
	}
	if err := Run(t.Context(), opts); err != nil {
		t.Errorf("run: %v", err)
	}
	return out.String()
}

func TestTranscripts(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"the example of the protocol": {
			"register ana\nconnect ana\nquit\n",
			"c> c> REGISTER OK\nc> c> CONNECT OK\nc> \n+++ FINISHED +++\n",
		},
		"no last line end": {"register ana", "c> c> REGISTER OK\nc> \n+++ FINISHED +++\n"},
		"other line ends":  {"register ana\r\nquit\r\n", "c> c> REGISTER OK\nc> \n+++ FINISHED +++\n"},
		"nothing":          {"", "c> \n+++ FINISHED +++\n"},
		"after quit":       {"quit\nregister ana\n", "c> \n+++ FINISHED +++\n"},
		"a line too long": {
			strings.Repeat("x", maxLine+10) + "\nquit\n",
			"c> Error: the line is too long: at most 16384 bytes\nc> \n+++ FINISHED +++\n",
		},
		"a line too long at the end": {
			strings.Repeat("x", 2*maxLine),
			"c> Error: the line is too long: at most 16384 bytes\nc> \n+++ FINISHED +++\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := play(t, c.in, nil); got != c.want {
				t.Errorf("got\n%q\nwant\n%q", got, c.want)
			}
		})
	}
}

func TestFailuresAreExplained(t *testing.T) {
	var explained strings.Builder
	got := play(t, "register ana\nconnect ana\nregister ana\nget_file ana /f /nonexistent/f\nget_file ana /f "+
		filepath.Join(t.TempDir(), "f")+"\n", func(o *Options) { o.Explain = &explained })
	if !strings.Contains(got, "USERNAME IN USE") || !strings.Contains(got, "Error: /nonexistent/f: ") ||
		!strings.Contains(got, "GET_FILE FAIL, FILE DOES NOT EXIST") {
		t.Errorf("got\n%s", got)
	}
	if explained.String() != "" {
		t.Errorf("what the text says already is explained: %q", explained.String())
	}
}

func TestOutputThatBreaksEndsTheConsole(t *testing.T) {
	r, w := io.Pipe()
	broken := errors.New("nobody is there")
	_ = r.CloseWithError(broken)
	lines, stop := NewPlainReader(strings.NewReader("register ana\nquit\n"), io.Discard)
	defer stop()
	if err := Run(t.Context(), Options{Node: newNode(t), Lines: lines, Out: w}); !errors.Is(err, broken) {
		t.Errorf("got error %v, want %v", err, broken)
	}
}

func TestContextEndsTheConsole(t *testing.T) {
	never, feed := io.Pipe()
	defer feed.Close()
	var out strings.Builder
	lines, stop := NewPlainReader(never, &out)
	defer stop()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, Options{Node: newNode(t), Lines: lines, Out: &out}); err != nil {
		t.Error(err)
	}
	if got, want := out.String(), "c> \n+++ FINISHED +++\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCompletion(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"alpha.txt", "beta one.txt", ".hidden", "folder/inner.txt"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	n := newNode(t)
	for _, err := range []error{
		n.Register(t.Context(), "zoe"), n.Connect(t.Context(), "zoe"), n.Publish(t.Context(), "alpha.txt", "x"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	complete := CompleteFor(t.Context(), n)
	for line, want := range map[string][]string{
		"":                        nil, // every command, looked at below
		"li":                      {"list_users", "list_content"},
		"LI":                      {"LIST_USERS", "LIST_CONTENT"},
		"fly":                     nil,
		"list_content ":           {"zoe"},
		"list_content x":          nil,
		"connect z":               {"zoe"},
		"publish ":                {"alpha.txt", "folder/"},
		"publish a":               {"alpha.txt"},
		"publish folder/":         {"folder/inner.txt"},
		"publish .h":              {".hidden"},
		"publish a b":             nil,
		"get_file zoe /":          {here + "/alpha.txt"},
		"get_file zoe " + "/x fo": {"folder/"},
		"get_multifile a":         {"alpha.txt"},
		"find poem o":             {"owner:", "online:"},
		"find owner:z":            {"owner:zoe"},
		"find poem Online:":       {"Online:yes"},
		"find ext:o":              nil,
		"quit ":                   nil,
		"nonsense and more":       nil,
	} {
		got := complete(strings.Split(line, " "))
		if line == "" {
			if len(got) != len(shell.Words()) {
				t.Errorf("every command: got %v", got)
			}
			continue
		}
		if !slices.Equal(got, want) && !(len(got) == 0 && len(want) == 0) {
			t.Errorf("%q: got %v, want %v", line, got, want)
		}
	}
}

func TestCompletedWordsGoOnAfterWhatWasTyped(t *testing.T) {
	w := &wordCompleter{func(words []string) []string {
		if !reflect.DeepEqual(words, []string{"publish", "ñan"}) {
			t.Errorf("got words %q", words)
		}
		return []string{"ñandú.txt", "ñango/", "ñanfilter:", "ñan\x1bescape"}
	}}
	line := []rune("publish ñan and more")
	rest, length := w.Do(line, len([]rune("publish ñan")))
	got := make([]string, len(rest))
	for i, r := range rest {
		got[i] = string(r)
	}
	if want := []string{"dú.txt ", "go/", "filter:"}; !slices.Equal(got, want) || length != 3 {
		t.Errorf("got %q after %d, want %q after 3", got, length, want)
	}
}
