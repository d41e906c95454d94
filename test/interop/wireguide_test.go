//go:build interop

package interop_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/wire.md tells people what to type: it must be what there is.

// TestWireGuideFilters lets tshark read every filter of the guide's tables.
func TestWireGuideFilters(t *testing.T) {
	r := play(t, given[2:3])
	var filters []string
	for line := range strings.Lines(wireGuide(t)) {
		if strings.HasPrefix(line, "|") {
			for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
				filters = append(filters, "("+span[1]+")")
			}
		}
	}
	if len(filters) < 20 {
		t.Fatalf("only %d filters are found in the guide: %q", len(filters), filters)
	}
	if got := r.rows(strings.Join(filters, " or "), frameFields); len(got) == 0 {
		t.Errorf("no frame of a failed operation is selected by all of %q", filters)
	}
}

// TestWireGuideFields requires that the guide names every field.
func TestWireGuideFields(t *testing.T) {
	r := play(t, given[2:3])
	// -G wants to be the first option: the dissector has to be installed.
	r.file(".local/lib/wireshark/plugins/lonja.lua", dissectorText(t))
	listed := run(t, program{
		argv:         []string{require(t, "tshark", "tshark"), "-G", "fields"},
		env:          r.env(),
		unprivileged: true,
	})
	guide := wireGuide(t)
	fields := regexp.MustCompile(`(?m)^F\t[^\t]*\tlonja(\.[a-z_.]+)\t`).FindAllStringSubmatch(listed.stdout, -1)
	if len(fields) < 20 {
		t.Fatalf("tshark lists only %d fields of ours: %s", len(fields), listed.stderr)
	}
	for _, field := range fields {
		if name := field[1]; !strings.Contains(guide, "`lonja"+name+"`") && !strings.Contains(guide, "`"+name+"`") {
			t.Errorf("docs/wire.md does not name lonja%s", name)
		}
	}
}

func wireGuide(t *testing.T) string {
	t.Helper()
	return string(contentOf(t, filepath.Join("..", "..", "docs", "wire.md")))
}
