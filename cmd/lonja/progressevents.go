package main

import (
	"errors"
	"io"
	"time"

	"lonja"
	"lonja/internal/downloads"
)

// The events of a download, as programs are told them: one JSON object on a line
// each. docs/using.md has them for people.
const (
	eventStarted  = "started"
	eventProgress = "progress"
	eventJoined   = "holder-joined"
	eventLeft     = "holder-left"
	eventLied     = "holder-lied"
	eventWaiting  = "waiting" // until it is tried again
	eventPaused   = "paused"
	eventCanceled = "canceled"
	eventDone     = "done"
	eventFailed   = "failed"
)

// An eventHead is what all events have.
type eventHead struct {
	Event    string    `json:"event"`
	Time     time.Time `json:"time"`
	Download string    `json:"download,omitempty"` // its id; absent where there is no list
}

type startedEvent struct {
	eventHead
	File     string `json:"file,omitempty"`
	Name     string `json:"name"`
	Path     string `json:"path"`
	Kind     string `json:"kind"`
	Size     int64  `json:"size"`
	Received int64  `json:"received"` // bytes that are here already
}

type progressEvent struct {
	eventHead
	Received int64    `json:"received"`
	Size     int64    `json:"size"`
	Speed    int64    `json:"speed"`            // bytes per second
	Left     *float64 `json:"left_s,omitempty"` // seconds; absent where nothing comes
	Pieces   int64    `json:"pieces"`
	Of       int64    `json:"of"`
	Files    int64    `json:"files,omitempty"` // of a folder, in place of pieces
	OfFiles  int64    `json:"of_files,omitempty"`
	Holders  int      `json:"holders"` // that are connected
	Waits    string   `json:"waits,omitempty"`
}

type holderEvent struct {
	eventHead
	Holder downloads.Holder `json:"holder"`
}

type doneEvent struct {
	eventHead
	gotten
}

type doneFolderEvent struct {
	eventHead
	gottenFolder
}

type endedEvent struct {
	eventHead
	Error string `json:"error,omitempty"`
	Kind  string `json:"kind,omitempty"`
}

// eventWriter writes the events of one download. One goroutine at a time uses it.
type eventWriter struct {
	w    io.Writer
	id   string
	path string // as the person knows it
	was  map[string]downloads.Holder
	err  error // the first failure to write
}

func newEventWriter(w io.Writer, id, path string) *eventWriter {
	return &eventWriter{w: w, id: id, path: path, was: make(map[string]downloads.Holder)}
}

func (e *eventWriter) head(event string) eventHead {
	return eventHead{event, time.Now().UTC(), e.id}
}

func (e *eventWriter) write(event any) {
	e.err = errors.Join(e.err, writeJSONLine(e.w, event))
}

func (e *eventWriter) started(d downloads.Download) {
	event := startedEvent{eventHead: e.head(eventStarted), Name: string(d.Name), Path: e.path, Kind: kindOfDownload(d), Size: d.Size, Received: here(d)}
	if !d.File.IsZero() {
		event.File = d.File.String()
	}
	e.write(event)
}

// progress writes what has changed with the holders, and how far it is.
func (e *eventWriter) progress(s downloads.Status) {
	e.holders(s.Holders, false)
	event := progressEvent{
		eventHead: e.head(eventProgress), Received: s.Received, Size: s.Size, Speed: s.Speed, Pieces: s.Pieces, Of: s.Of,
		Files: s.Files, OfFiles: s.OfFiles, Holders: s.Connected(), Waits: s.Waits,
	}
	if left, known := s.Left(); known {
		seconds := left.Seconds()
		event.Left = &seconds
	}
	e.write(event)
}

// holders writes who came, went and lied since it was called last. At the end all
// have gone, which is not told.
func (e *eventWriter) holders(now []downloads.Holder, end bool) {
	for _, h := range now {
		was := e.was[holderKey(h)]
		e.was[holderKey(h)] = h
		event := ""
		switch {
		case h.Lied && !was.Lied:
			event = eventLied
		case h.Lied:
		case h.Conns > 0 && was.Conns == 0, end && h.Pieces > 0 && was.User == "":
			event = eventJoined
		case h.Conns == 0 && was.Conns > 0 && !end:
			event = eventLeft
		}
		if event != "" {
			e.write(holderEvent{e.head(event), h})
		}
	}
	for key, was := range e.was {
		if !end && was.Conns > 0 && !hasHolder(now, key) {
			e.was[key] = downloads.Holder{User: was.User}
			e.write(holderEvent{e.head(eventLeft), was})
		}
	}
}

func hasHolder(all []downloads.Holder, key string) bool {
	for _, h := range all {
		if holderKey(h) == key {
			return true
		}
	}
	return false
}

// done writes what came of it.
func (e *eventWriter) done(got fetched, d downloads.Download) {
	if d.Folder {
		e.write(doneFolderEvent{e.head(eventDone), gottenFolderOf(got.FetchedFolder, e.path)})
	} else {
		e.write(doneEvent{e.head(eventDone), gottenOf(got.Fetched, e.path)})
	}
}

// tellEnd writes that it goes on no more, for now, and why.
func (e *eventWriter) tellEnd(event string, err error) {
	ended := endedEvent{eventHead: e.head(event)}
	if err != nil && event != eventPaused && event != eventCanceled {
		ended.Error, ended.Kind = err.Error(), lonja.KindOf(err).Error()
	}
	e.write(ended)
}
