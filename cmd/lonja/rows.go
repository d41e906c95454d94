package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"lonja"
)

// writeJSONLine writes a JSON object on a line, with nothing in it that a terminal
// must not see. Of text that is not UTF-8, JSON loses bytes: rows have notText beside
// names that may be such.
func writeJSONLine(w io.Writer, row any) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(row); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeHidden(strings.TrimSuffix(text.String(), "\n"))+"\n")
	return err
}

// notText returns the bytes of a name that JSON cannot say, because it is not UTF-8:
// names of the classic protocol may be any bytes. Of all others it returns nil.
func notText(name string) []byte {
	if utf8.ValidString(name) {
		return nil
	}
	return []byte(name)
}

// writeRows writes what a command answers: for people a table with a head, for
// programs a JSON object on a line for each row. cells returns the columns of a
// row; text of others is made safe for terminals.
func writeRows[T any](w io.Writer, asJSON bool, head []string, rows []T, cells func(T) []string) error {
	out := bufio.NewWriter(w)
	if asJSON {
		for _, row := range rows {
			if err := writeJSONLine(out, row); err != nil {
				return err
			}
		}
		return out.Flush()
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if head != nil {
		fmt.Fprintln(table, strings.Join(head, "\t"))
	}
	for _, row := range rows {
		columns := cells(row)
		for i := range columns {
			columns[i] = lonja.Printable(columns[i])
		}
		fmt.Fprintln(table, strings.Join(columns, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	return out.Flush()
}
