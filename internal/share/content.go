package share

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"

	"lonja"
)

// A content is what the owner has signed of a file, and what the file was when
// its content was looked at.
type content struct {
	listing lonja.Listing
	seen    seen           // nothing for a folder, whose files have their own
	known   []lonja.Member // whose keys are known, of those whom it is for; see Offering
}

// restricted reports whether only some users may know of it.
func (c *content) restricted() bool { return c != nil && len(c.listing.Proof.Audience) > 0 }

// isFor reports whether member may have it. A name is not enough: whoever issues
// certificates could issue one for any name.
func (c *content) isFor(owner lonja.UserName, member lonja.Member, follows Follows) bool {
	if !c.restricted() {
		return true
	}
	known := c.keysOf(owner, member.User)
	return slices.Contains(known, member.Key) || len(known) > 0 && follows(known)
}

// keysOf returns the keys that are known of a user whom it is for.
func (c *content) keysOf(owner, user lonja.UserName) (keys []lonja.PublicKey) {
	switch {
	case user == owner:
		keys = append(keys, c.listing.Proof.Key)
	case !slices.Contains(c.listing.Proof.Audience, user):
		return nil
	}
	for _, m := range c.known {
		if m.User == user {
			keys = append(keys, m.Key)
		}
	}
	return keys
}

// contents finds what is signed by its content, and counts it.
type contents struct {
	names   map[lonja.FileID][]lonja.FileName
	folders map[lonja.FileName]bool // those that are folders
	digest  lonja.ContentDigest
}

func newContents(p publications) contents {
	c := contents{names: make(map[lonja.FileID][]lonja.FileName), folders: make(map[lonja.FileName]bool)}
	for name, i := range p {
		c.add(name, i)
	}
	return c
}

func (c *contents) add(name lonja.FileName, i item) {
	if i.content == nil {
		return
	}
	proof := i.content.listing.Proof
	c.names[proof.File] = append(c.names[proof.File], name)
	if i.isFolder() {
		c.folders[name] = true
	}
	c.digest.Add(proof.Signature)
}

func (c *contents) remove(name lonja.FileName, i item) {
	if i.content == nil {
		return
	}
	proof := i.content.listing.Proof
	delete(c.folders, name)
	rest := slices.DeleteFunc(c.names[proof.File], func(n lonja.FileName) bool { return n == name })
	if len(rest) == 0 {
		delete(c.names, proof.File)
	} else {
		c.names[proof.File] = rest
	}
	c.digest.Remove(proof.Signature)
}

// An Offering is what is published in the secure dialect.
type Offering struct {
	Listing lonja.Listing // with a Proof
	// Seen is the file as it was when its content was looked at: once the file is
	// another, it is not opened any more.
	Seen fs.FileInfo
	// Known are the keys by which the owner and the audience are known now, if
	// there is an audience: any number for each. Who proves another one has to
	// follow from these; somebody of whom none is known gets nothing.
	Known []lonja.Member
}

// Offer publishes the file at path, which is absolute, under the name of a
// listing with a Proof; what had the name before is published no more. Otherwise
// Offer is as Add.
func (s *Set) Offer(path string, o Offering) error {
	listing := o.Listing
	if listing.Proof == nil {
		return &lonja.Error{Kind: lonja.Invalid, Op: "publish", File: listing.Name, Err: errors.New("nothing is signed")}
	}
	where, err := locate(listing.Name, path)
	if err != nil {
		return &lonja.Error{
			Kind: lonja.Invalid, Op: "publish", File: listing.Name,
			Err: fmt.Errorf("%s: %w", lonja.Printable(path), err),
		}
	}
	signed := &content{listing: listing, seen: seenOf(o.Seen), known: slices.Clone(o.Known)}
	return s.add(edit{name: listing.Name, item: item{place: where, content: signed}})
}

// errChanged is the cause for a file that is not what was published.
var errChanged = errors.New("the file has changed since it was published")

// A Follows reports whether who asks for a content holds a key that follows from
// one of these, by endorsements: another device of the same user.
type Follows func(known []lonja.PublicKey) bool

// OpenContent opens a published file with that content, or one in a published
// folder, or the list of such a folder, for member, who has proved
// the key. What is for some users only is opened for the keys that were known of
// them when it was published, and for those of which follows says so; follows may
// take its time. The caller closes the file.
//
// The error is of kind NoSuchFile if there is none, whatever the reason, so that
// nobody learns what is published for others, of kind Conflict if there is one
// that has changed since it was published, of kind Limited with the cause ErrTouched
// if there is one that may have, and of kind LocalFile if there is one that cannot be
// opened. Its cause may tell more: it is for the log. Nothing is
// opened that has changed since it was published.
func (s *Set) OpenContent(id lonja.FileID, member lonja.Member, follows Follows) (f *os.File, size int64, err error) {
	err = &lonja.Error{Kind: lonja.NoSuchFile, Op: "open"}
	for _, i := range s.withContent(id) {
		if !i.content.isFor(s.owner, member, follows) {
			continue
		}
		name := i.content.listing.Name
		if i.isFolder() {
			if f, size, err = s.openList(i.content); err == nil {
				return f, size, nil
			}
			err = openFailed(name, err)
			continue
		}
		if f, size, err = i.open(); err != nil {
			err = openFailed(name, err)
			continue
		}
		info, statErr := f.Stat()
		if statErr == nil && i.content.compare(info) == same {
			return f, size, nil
		}
		_ = f.Close()
		if err = openFailed(name, statErr); statErr == nil {
			err = i.content.compare(info).err(name)
		}
	}
	inside, size, folderErr := s.openInFolders(id, member, follows)
	if folderErr == nil {
		return inside, size, nil
	}
	if !errors.Is(err, ErrTouched) && (lonja.KindOf(folderErr) != lonja.NoSuchFile || lonja.KindOf(err) == lonja.NoSuchFile) {
		err = folderErr
	}
	return nil, 0, err
}

// compare compares the file with the one that was published.
func (c *content) compare(info fs.FileInfo) likeness { return c.seen.compare(info, c.listing.Size) }

func (s *Set) withContent(id lonja.FileID) []item {
	s.refresh()
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []item
	for _, name := range s.signed.names[id] {
		found = append(found, s.current[name])
	}
	return found
}

// Offered returns what is signed, in no order, as it was when the range began.
func (s *Set) Offered() iter.Seq[lonja.Listing] {
	s.refresh()
	s.mu.RLock()
	defer s.mu.RUnlock()
	listings := make([]*content, 0, s.signed.digest.Count)
	for _, i := range s.current {
		if i.content != nil {
			listings = append(listings, i.content)
		}
	}
	return func(yield func(lonja.Listing) bool) {
		for _, c := range listings {
			if !yield(c.listing) {
				return
			}
		}
	}
}

// Listing returns what was signed under that name, and whether there is one.
func (s *Set) Listing(name lonja.FileName) (lonja.Listing, bool) {
	i, _ := s.item(name)
	if i.content == nil {
		return lonja.Listing{}, false
	}
	return i.content.listing, true
}

// OffersAs reports whether the file at path is what is offered under name, and
// would still be served as that: info is of the file now.
func (s *Set) OffersAs(name lonja.FileName, path string, info fs.FileInfo) bool {
	i, there := s.item(name)
	return there && i.content != nil && i.path() == path && i.content.compare(info) == same
}

// PathOf returns where the file is that is published under name, and whether
// one is.
func (s *Set) PathOf(name lonja.FileName) (string, bool) {
	i, there := s.item(name)
	if !there {
		return "", false
	}
	return i.path(), true
}

// NamesOf returns the names under which the file at path, which is absolute, is
// published, in order.
func (s *Set) NamesOf(path string) []lonja.FileName {
	where, err := splitReal(path)
	if err != nil {
		return nil
	}
	s.refresh()
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []lonja.FileName
	for name, i := range s.current {
		if i.place == where {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Digest stands for all that is signed.
func (s *Set) Digest() lonja.ContentDigest {
	s.refresh()
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.signed.digest
}

// A signedEntry is the form of a content on disk.
type signedEntry struct {
	Description text   `json:"description,omitempty"`
	Size        int64  `json:"size"`
	File        string `json:"file"`
	Date        int64  `json:"date"`
	Audience    []text `json:"audience,omitempty"`
	Key         string `json:"key"`
	Signature   string `json:"signature"`
	Modified    int64  `json:"modified"`
	Mark        uint64 `json:"mark,omitempty"` // before there was one, it is found out when the file is opened

	Known []knownEntry `json:"known,omitempty"`

	Folder *folderEntry `json:"folder,omitempty"`
}

// A folderEntry is what is said of a folder.
type folderEntry struct {
	Files    int64 `json:"files"`
	ListSize int64 `json:"list_size"`
}

// A knownEntry is one of the keys of those whom a content is for.
type knownEntry struct {
	User text   `json:"user"`
	Key  string `json:"key"`
}

func (c *content) entry() *signedEntry {
	if c == nil {
		return nil
	}
	p := c.listing.Proof
	e := &signedEntry{
		Description: text(c.listing.Description), Size: c.listing.Size, File: p.File.String(), Date: p.Date,
		Key: p.Key.String(), Signature: base64.RawURLEncoding.EncodeToString(p.Signature[:]), Modified: c.seen.modified, Mark: c.seen.mark,
	}
	for _, user := range p.Audience {
		e.Audience = append(e.Audience, text(user))
	}
	if f := p.Folder; f != nil {
		e.Folder = &folderEntry{f.Files, f.ListSize}
	}
	for _, m := range c.known {
		e.Known = append(e.Known, knownEntry{text(m.User), m.Key.String()})
	}
	return e
}

// content is the way back; ok is false if no program of ours wrote the entry.
func (e *signedEntry) content(name lonja.FileName) (_ *content, ok bool) {
	if e == nil {
		return nil, true
	}
	proof := &lonja.Proof{Date: e.Date}
	var errs [3]error
	proof.File, errs[0] = lonja.ParseFileID(e.File)
	proof.Key, errs[1] = lonja.ParsePublicKey(e.Key)
	signature, err := base64.RawURLEncoding.DecodeString(e.Signature)
	errs[2] = err
	if errors.Join(errs[:]...) != nil || len(signature) != len(proof.Signature) || e.Size < 0 {
		return nil, false
	}
	proof.Signature = lonja.Signature(signature)
	for _, user := range e.Audience {
		proof.Audience = append(proof.Audience, lonja.UserName(user))
	}
	if f := e.Folder; f != nil {
		proof.Folder = &lonja.Folder{Files: f.Files, ListSize: f.ListSize}
	}
	c := &content{
		listing: lonja.Listing{Name: name, Description: lonja.Description(e.Description), Size: e.Size, Proof: proof},
		seen:    seen{e.Modified, e.Mark},
	}
	for _, k := range e.Known {
		key, err := lonja.ParsePublicKey(k.Key)
		if err != nil {
			return nil, false
		}
		c.known = append(c.known, lonja.Member{User: lonja.UserName(k.User), Key: key})
	}
	return c, true
}
