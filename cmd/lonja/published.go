package main

import (
	"cmp"
	"strings"
	"time"

	"lonja"
	"lonja/internal/link"
	"lonja/internal/shell"
)

// What people are shown of how a publication, or a user, speaks.
const (
	dialectSecure  = "TLS"
	dialectClassic = "classic" // unencrypted, and nothing is proved
)

// A publishedLine is a publication as programs are told it.
type publishedLine struct {
	Owner       string   `json:"owner"`
	Name        string   `json:"name"`
	Size        *int64   `json:"size,omitempty"` // in bytes, of a folder of all files in it; absent where unknown
	File        string   `json:"file,omitempty"` // BLAKE3 of the content; absent for classic
	Kind        string   `json:"kind"`
	Files       *int64   `json:"files,omitempty"` // in a folder; absent for a file
	Date        string   `json:"date,omitempty"`
	Audience    []string `json:"audience,omitempty"`
	Dialect     string   `json:"dialect"`
	Description string   `json:"description"`
	Link        string   `json:"link,omitempty"`

	// Where those above cannot say them; see notText.
	OwnerBytes       []byte `json:"owner_bytes,omitempty"`
	NameBytes        []byte `json:"name_bytes,omitempty"`
	DescriptionBytes []byte `json:"description_bytes,omitempty"`

	sizeText string
}

// The kinds of what is published, as programs are told them.
const (
	kindFile   = "file"
	kindFolder = "folder"
)

// kindOf returns the kind of what is listed, and how many files are in a folder.
func kindOf(l lonja.Listing) (kind string, files *int64) {
	if f := l.Folder(); f != nil {
		return kindFolder, &f.Files
	}
	return kindFile, nil
}

// published returns what is shown of a listing.
func (m *member) published(owner lonja.UserName, l lonja.Listing) publishedLine {
	line := publishedLine{
		Owner: string(owner), Name: string(l.Name), Description: string(l.Description), Dialect: dialectOf(l),
		OwnerBytes: notText(string(owner)), NameBytes: notText(string(l.Name)), DescriptionBytes: notText(string(l.Description)),
	}
	line.sizeText = cmp.Or(shell.FormatListed(l), "-")
	line.Kind, line.Files = kindOf(l)
	if l.Size >= 0 {
		line.Size = &l.Size
	}
	if p := l.Proof; p != nil {
		line.File = p.File.String()
		line.Date = time.Unix(p.Date, 0).UTC().Format(time.RFC3339)
		for _, user := range p.Audience {
			line.Audience = append(line.Audience, string(user))
		}
		line.Link = m.linkTo(owner, l)
	}
	return line
}

// linkTo returns the link to a signed publication's content.
func (m *member) linkTo(owner lonja.UserName, l lonja.Listing) string {
	file := link.File{Address: m.addresses[0], File: l.Proof.File, Name: l.Name, Owner: owner, Size: l.ContentSize()}
	if set := m.set(); set != nil {
		file.Fingerprint = set.Fingerprint()
	}
	return file.String()
}

// size is the size as people read it.
func (p publishedLine) size() string { return p.sizeText }

// audience is who it is for, as people read it.
func (p publishedLine) audience() string {
	if len(p.Audience) == 0 {
		return "everybody"
	}
	return strings.Join(p.Audience, ",")
}

// day is when it was published, as people read it.
func (p publishedLine) day() string {
	if p.Date == "" {
		return "-"
	}
	return p.Date[:len(time.DateOnly)]
}
