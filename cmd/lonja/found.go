package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf16"

	"lonja"
	"lonja/internal/shell"
)

// A foundWriter prints results for a person or for a program.
type foundWriter struct {
	out     io.Writer
	json    bool
	marks   bool // tells in which dialect each was published
	written int  // results so far
}

func newFoundWriter(out io.Writer, json bool) *foundWriter {
	return &foundWriter{out: out, json: json}
}

// write prints some more results. Columns are aligned among those of one call.
func (w *foundWriter) write(found []lonja.Found) error {
	if len(found) == 0 {
		return nil
	}
	lines := w.table
	if w.json {
		lines = w.jsonLines
	}
	_, err := io.WriteString(w.out, lines(found))
	w.written += len(found)
	return err
}

// table returns lines for a person, below a heading where they are the first.
func (w *foundWriter) table(found []lonja.Found) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if w.written == 0 {
		head := []string{"BASE NAME", "HOLDERS", "SIZE", "OWNER", "PUBLISHED AS", "DESCRIPTION"}
		if w.marks {
			head = slices.Insert(head, byColumn, "BY")
		}
		fmt.Fprintln(t, strings.Join(head, "\t"))
	}
	for _, f := range found {
		cells := shell.FoundCells(f)
		for i, cell := range cells[:len(cells)-1] {
			if cell == "" {
				cells[i] = "-"
			}
		}
		if w.marks {
			cells = slices.Insert(cells, byColumn, dialectOf(f.Listing))
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	_ = t.Flush() // into memory
	var trimmed strings.Builder
	for line := range strings.Lines(b.String()) {
		trimmed.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return trimmed.String()
}

// byColumn is where the dialect stands: behind the owner.
const byColumn = 4

func dialectOf(l lonja.Listing) string {
	if l.Proof == nil {
		return dialectClassic
	}
	return dialectSecure
}

// A foundLine is one result as JSON.
type foundLine struct {
	Base        string `json:"base"`
	Online      int    `json:"online"`
	Holders     int    `json:"holders"`
	Size        *int64 `json:"size,omitempty"` // in bytes; absent where unknown
	Owner       string `json:"owner"`
	Name        string `json:"name"`
	Description string `json:"description"`

	Dialect string `json:"dialect,omitempty"`
	File    string `json:"file,omitempty"` // BLAKE3 of the content; absent for classic
	Kind    string `json:"kind,omitempty"`
	Files   *int64 `json:"files,omitempty"` // in a folder; absent for a file

	// Where those above cannot say them; see notText.
	BaseBytes        []byte `json:"base_bytes,omitempty"`
	OwnerBytes       []byte `json:"owner_bytes,omitempty"`
	NameBytes        []byte `json:"name_bytes,omitempty"`
	DescriptionBytes []byte `json:"description_bytes,omitempty"`
}

func (w *foundWriter) jsonLines(found []lonja.Found) string {
	var b strings.Builder
	for _, f := range found {
		line := foundLine{
			Base: f.Listing.Name.Base(), Online: f.Online, Holders: f.Holders,
			Owner: string(f.Owner), Name: string(f.Listing.Name), Description: string(f.Listing.Description),
			BaseBytes: notText(f.Listing.Name.Base()), OwnerBytes: notText(string(f.Owner)),
			NameBytes: notText(string(f.Listing.Name)), DescriptionBytes: notText(string(f.Listing.Description)),
		}
		if f.Listing.Size >= 0 {
			line.Size = &f.Listing.Size
		}
		if w.marks {
			line.Dialect = dialectOf(f.Listing)
			line.Kind, line.Files = kindOf(f.Listing)
		}
		if p := f.Listing.Proof; w.marks && p != nil {
			line.File = p.File.String()
		}
		_ = writeJSONLine(&b, line) // strings and numbers, into memory
	}
	return b.String()
}

// escapeHidden escapes what JSON may hold but a terminal must not see, so that
// nothing of a name is lost. It stands in strings only.
func escapeHidden(text string) string {
	var b strings.Builder
	for _, r := range text {
		s := string(r)
		if lonja.Printable(s) == s {
			b.WriteString(s)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
