package oncrpc_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"lonja"
	"lonja/internal/oncrpc"
)

// readAll returns the records of a stream, and what ended it.
func readAll(stream io.Reader, limit int) ([]string, error) {
	r := oncrpc.NewRecordReader(stream, limit)
	var records []string
	for {
		record, err := r.Next()
		if err != nil {
			return records, err
		}
		records = append(records, string(record))
	}
}

func TestRecords(t *testing.T) {
	const limit = 16
	for name, c := range map[string]struct {
		stream string
		want   []string
		err    error
	}{
		"none":                   {"", nil, io.EOF},
		"one":                    {"\x80\x00\x00\x03abc", []string{"abc"}, io.EOF},
		"several":                {"\x80\x00\x00\x03abc\x80\x00\x00\x00\x80\x00\x00\x01z", []string{"abc", "", "z"}, io.EOF},
		"fragments":              {"\x00\x00\x00\x02ab\x00\x00\x00\x00\x80\x00\x00\x01c\x80\x00\x00\x01z", []string{"abc", "z"}, io.EOF},
		"last fragment is empty": {"\x00\x00\x00\x02ab\x80\x00\x00\x00", []string{"ab"}, io.EOF},
		"at the limit":           {"\x80\x00\x00\x10" + strings.Repeat("x", limit), []string{strings.Repeat("x", limit)}, io.EOF},
		"over the limit":         {"\x80\x00\x00\x01a\x80\x00\x00\x11", []string{"a"}, lonja.Malformed},
		"fragments over":         {"\x00\x00\x00\x0f123456789012345\x80\x00\x00\x02", nil, lonja.Malformed},
		"largest length":         {"\xff\xff\xff\xff", nil, lonja.Malformed},
		"cut in a mark":          {"\x80\x00", nil, io.ErrUnexpectedEOF},
		"cut after a mark":       {"\x80\x00\x00\x03", nil, io.ErrUnexpectedEOF},
		"cut in a body":          {"\x80\x00\x00\x03ab", nil, io.ErrUnexpectedEOF},
		"cut between fragments":  {"\x00\x00\x00\x02ab", nil, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			for how, stream := range map[string]io.Reader{
				"whole": strings.NewReader(c.stream), "by the byte": iotest.OneByteReader(strings.NewReader(c.stream)),
			} {
				got, err := readAll(stream, limit)
				if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
					t.Errorf("%s: got %q, %v; want %q, %v", how, got, err, c.want, c.err)
				}
			}
		})
	}
}

// A watchedReader gives one byte at a time, and notes what Partial says before
// each.
type watchedReader struct {
	from    io.Reader
	records *oncrpc.RecordReader
	partial []bool
}

func (w *watchedReader) Read(p []byte) (int, error) {
	w.partial = append(w.partial, w.records.Partial())
	return w.from.Read(p[:1])
}

func TestRecordReaderPartial(t *testing.T) {
	w := &watchedReader{from: strings.NewReader("\x00\x00\x00\x01a\x80\x00\x00\x00" + "\x80\x00\x00\x01b")}
	w.records = oncrpc.NewRecordReader(w, 16)
	for range 2 {
		if _, err := w.records.Next(); err != nil {
			t.Fatal(err)
		}
	}
	want := []bool{
		false, true, true, true, true, true, true, true, true, // the record of two fragments
		false, true, true, true, true, // the other
	}
	if !slices.Equal(w.partial, want) {
		t.Errorf("got  %v\nwant %v", w.partial, want)
	}
}

// TestRecordReaderBatches: records that came together cost one read.
func TestRecordReaderBatches(t *testing.T) {
	var stream []byte
	for range 10 {
		stream = oncrpc.AppendRecord(stream, []byte("abcdefgh"))
	}
	reads := 0
	r := oncrpc.NewRecordReader(readerFunc(func(p []byte) (int, error) {
		reads++
		n := copy(p, stream)
		stream = stream[n:]
		return n, nil
	}), 1024)
	for range 10 {
		if record, err := r.Next(); err != nil || string(record) != "abcdefgh" {
			t.Fatalf("got %q, %v", record, err)
		}
	}
	if reads != 1 {
		t.Errorf("got %d reads, want 1", reads)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// FuzzRecordReader: no record is over the limit, and what was read means the
// same when it is written again.
func FuzzRecordReader(f *testing.F) {
	f.Add([]byte("\x80\x00\x00\x03abc"))
	f.Add([]byte("\x00\x00\x00\x02ab\x00\x00\x00\x00\x80\x00\x00\x01c"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 32
		records, _ := readAll(bytes.NewReader(stream), limit)
		var written []byte
		for _, record := range records {
			if len(record) > limit {
				t.Fatalf("record of %d bytes, the limit is %d", len(record), limit)
			}
			written = oncrpc.AppendRecord(written, []byte(record))
		}
		again, err := readAll(bytes.NewReader(written), limit)
		if !slices.Equal(again, records) || !errors.Is(err, io.EOF) {
			t.Errorf("got %q, %v; want %q", again, err, records)
		}
	})
}
