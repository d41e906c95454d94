package directory

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"lonja"
	"lonja/internal/index"
	"lonja/internal/operator"
	"lonja/internal/statement"
	"lonja/internal/store"
)

// An export is lines of JSON, each an object with one of these. It begins with
// a header and ends with a trailer; accounts and the publications of each are
// in the order in which they were made, an account before its publications.
// What is for some users only comes after all accounts: whoever takes a name later
// is not meant (index.Viewer), here or there. Invitations and revocations come
// last.
type exportLine struct {
	Header      *exportHeader        `json:"lonja,omitempty"`
	Account     *exportAccount       `json:"account,omitempty"`
	Publication *exportPublication   `json:"publication,omitempty"`
	Invitation  *operator.Invitation `json:"invitation,omitempty"`
	Revocation  *exportRevocation    `json:"revocation,omitempty"`
	End         *exportEnd           `json:"end,omitempty"`
}

type exportHeader struct {
	Export int `json:"export"` // the version
}

// exportVersion is the only one there is.
const exportVersion = 1

// An exportAccount is one that is new to where it is imported: what an account
// of that name has left behind there must not become part of it.
type exportAccount struct {
	User operator.Text `json:"user"`
	Keys []exportKey   `json:"keys,omitempty"` // that it is bound to
}

// An exportPublication's size is left out if it is not known.
type exportPublication struct {
	User        operator.Text `json:"user"`
	Name        operator.Text `json:"name"`
	Description operator.Text `json:"description,omitempty"`
	Size        *int64        `json:"size,omitempty"`
	Proof       *exportProof  `json:"proof,omitempty"`
}

type exportEnd struct {
	Accounts     int `json:"accounts"`
	Publications int `json:"publications"`
	Invitations  int `json:"invitations,omitempty"`
	Revocations  int `json:"revocations,omitempty"`
}

// Export implements operator.Directory.
func (d *Directory) Export(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	if err := lines.Encode(exportLine{Header: &exportHeader{exportVersion}}); err != nil {
		return err
	}
	accounts, err := d.accountsByAge(ctx)
	if err != nil {
		return err
	}
	var end exportEnd
	for _, closed := range []bool{false, true} {
		for _, user := range accounts {
			if ctx.Err() != nil {
				return lonja.E(lonja.Canceled, "export", ctx.Err())
			}
			if err := d.exportAccount(lines, user, closed, &end); err != nil {
				return err
			}
		}
	}
	if err := d.exportLedger(lines, &end); err != nil {
		return err
	}
	if err := lines.Encode(exportLine{End: &end}); err != nil {
		return err
	}
	return out.Flush()
}

// accountsByAge returns the names of all accounts, the oldest first.
func (d *Directory) accountsByAge(ctx context.Context) ([]lonja.UserName, error) {
	type aged struct {
		incarnation uint64
		user        lonja.UserName
	}
	var all []aged
	for a, err := range d.accounts(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, aged{a.Incarnation, a.User})
	}
	slices.SortFunc(all, func(a, b aged) int { return cmp.Compare(a.incarnation, b.incarnation) })
	users := make([]lonja.UserName, len(all))
	for i, a := range all {
		users[i] = a.user
	}
	return users, nil
}

// exportAccount writes an account and what it has published for everybody, or
// only what it has published for some, and counts them.
func (d *Directory) exportAccount(lines *json.Encoder, user lonja.UserName, closed bool, end *exportEnd) error {
	name := operator.Text(user)
	if !closed {
		if err := lines.Encode(exportLine{Account: &exportAccount{User: name, Keys: d.exportKeys(user)}}); err != nil {
			return err
		}
		end.Accounts++
	}
	for l := range d.listings(user) {
		if closed != (l.Proof != nil && len(l.Proof.Audience) > 0) || closed && d.hasLapsed(l) {
			continue
		}
		p := exportPublication{User: name, Name: operator.Text(l.Name), Description: operator.Text(l.Description)}
		if l.Size != lonja.UnknownSize {
			p.Size = &l.Size
		}
		p.Proof = exportedProof(l.Proof)
		if err := lines.Encode(exportLine{Publication: &p}); err != nil {
			return err
		}
		end.Publications++
	}
	return nil
}

// hasLapsed reports whether a name that a publication is for has become somebody
// else's since. It is not exported: what is imported is new, and would be for
// whoever has the name now.
func (d *Directory) hasLapsed(e index.Entry) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.ContainsFunc(e.Proof.Audience, func(user lonja.UserName) bool {
		a, exists := d.index.Account(user)
		return exists && a.Rev > e.Rev
	})
}

// Import implements operator.Directory.
func (d *Directory) Import(ctx context.Context, r io.Reader) (operator.ImportReport, error) {
	i := &importer{
		directory: d, keys: make(map[store.Key]bool),
		incarnations: make(map[lonja.UserName]uint64), taken: make(map[lonja.UserName]bool),
	}
	err := i.readAll(ctx, r)
	if err == nil || errors.Is(err, lonja.Invalid) {
		err = errors.Join(err, i.flush(ctx)) // what came before is imported
	}
	return i.report, err
}

// An importer brings the lines of an export into a directory, many with one
// write.
type importer struct {
	directory *Directory
	report    operator.ImportReport
	changes   []store.Change
	keys      map[store.Key]bool
	read      exportEnd // what has been read so far
	// of the accounts that wait in changes: the incarnation, and which of them
	// somebody else has made first
	incarnations map[lonja.UserName]uint64
	taken        map[lonja.UserName]bool
}

// maxImportLine bounds a line, in bytes: the names of a large audience, escaped,
// and room.
const maxImportLine = 512 << 10

func (i *importer) readAll(ctx context.Context, r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxImportLine)
	number, ended := 0, false
	for lines.Scan() {
		number++
		var line exportLine
		err := json.Unmarshal(lines.Bytes(), &line)
		switch {
		case err != nil:
		case ended:
			err = errors.New("it comes after the last line")
		case number == 1:
			if line.Header == nil || line.Header.Export != exportVersion {
				err = errors.New("an export of this version begins otherwise")
			}
		default:
			ended = line.End != nil
			if err = i.take(ctx, line); err != nil && !errors.Is(err, lonja.Invalid) {
				return err
			}
		}
		if err != nil {
			return invalidLine(number, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return invalidLine(number+1, err)
	case err != nil:
		return err
	case !ended:
		return lonja.E(lonja.Invalid, "import", fmt.Errorf("the last line is missing: there are only %d lines", number))
	}
	return nil
}

func invalidLine(number int, err error) error {
	return lonja.E(lonja.Invalid, "import", fmt.Errorf("line %d: %w", number, err))
}

func (i *importer) take(ctx context.Context, line exportLine) error {
	switch line {
	case exportLine{Account: line.Account}:
		if line.Account != nil {
			i.read.Accounts++
			return i.takeAccount(ctx, line.Account)
		}
	case exportLine{Publication: line.Publication}:
		i.read.Publications++
		return i.takePublication(ctx, line.Publication)
	case exportLine{Invitation: line.Invitation}:
		i.read.Invitations++
		return i.takeInvitation(ctx, line.Invitation)
	case exportLine{Revocation: line.Revocation}:
		i.read.Revocations++
		return i.takeRevocation(ctx, line.Revocation)
	case exportLine{End: line.End}:
		if *line.End != i.read {
			return lonja.E(lonja.Invalid, "import", fmt.Errorf("there were %d accounts with %d publications before it, and it says %d and %d",
				i.read.Accounts, i.read.Publications, line.End.Accounts, line.End.Publications))
		}
		return nil
	}
	return lonja.E(lonja.Invalid, "import", errors.New("not one account, publication or end"))
}

func (i *importer) takeAccount(ctx context.Context, a *exportAccount) error {
	user, err := lonja.ParseUserName(string(a.User))
	if err != nil {
		return err
	}
	if _, exists := i.directory.account(user); exists || i.incarnations[user] != 0 {
		i.report.Skipped++
		return nil
	}
	incarnation := i.directory.newIncarnation()
	value, err := a.record(user, incarnation)
	if err != nil {
		return err
	}
	i.incarnations[user] = incarnation
	return i.add(ctx, store.Change{Key: userKey(user), Value: value})
}

func (i *importer) takePublication(ctx context.Context, p *exportPublication) error {
	user, err := lonja.ParseUserName(string(p.User))
	if err != nil {
		return err
	}
	listing, err := p.listing()
	if err != nil {
		return err
	}
	if listing.Proof != nil {
		if err := statement.VerifyPublication(lonja.Publication{Owner: user, Listing: listing}); err != nil {
			return lonja.E(lonja.Invalid, "import", err)
		}
	}
	incarnation := i.incarnations[user]
	if a, exists := i.directory.account(user); exists {
		incarnation = a.Incarnation
	}
	if incarnation == 0 {
		return lonja.E(lonja.Invalid, "import", errors.New("a publication of a user who has no account"))
	}
	i.directory.mu.RLock()
	_, _, exists := i.directory.index.Publication(user, listing.Name)
	i.directory.mu.RUnlock()
	if exists {
		i.report.Skipped++
		return nil
	}
	return i.add(ctx, store.Change{Key: fileKey(user, incarnation, listing.Name), Value: appendPublication(nil, listing)})
}

func (p *exportPublication) listing() (lonja.Listing, error) {
	listing := lonja.Listing{Size: lonja.UnknownSize}
	if p.Size != nil {
		if listing.Size = *p.Size; listing.Size < 0 {
			return listing, lonja.E(lonja.Invalid, "import", fmt.Errorf("a size of %d", listing.Size))
		}
	}
	var err error
	parse := lonja.ParseFileName
	if p.Proof != nil {
		parse = lonja.ParsePublishedName
	}
	if listing.Name, err = parse(string(p.Name)); err != nil {
		return listing, err
	}
	if listing.Description, err = lonja.ParseDescription(string(p.Description)); err != nil {
		return listing, err
	}
	listing.Proof, err = p.Proof.proof()
	return listing, err
}

// add has a change made, with others.
func (i *importer) add(ctx context.Context, c store.Change) error {
	if i.keys[c.Key] {
		i.report.Skipped++
		return nil
	}
	i.keys[c.Key] = true
	i.changes = append(i.changes, c)
	if len(i.changes) < store.MaxBatch {
		return nil
	}
	return i.flush(ctx)
}

func (i *importer) flush(ctx context.Context) error {
	err := i.apply(ctx, i.changes)
	i.changes = i.changes[:0]
	clear(i.keys)
	clear(i.incarnations)
	clear(i.taken)
	return err
}

// apply makes changes, all of which expect that nothing is there. What somebody
// else made meanwhile stays.
func (i *importer) apply(ctx context.Context, changes []store.Change) error {
	changes = slices.DeleteFunc(slices.Clone(changes), i.isOfTaken)
	if len(changes) == 0 {
		return nil
	}
	switch err := i.directory.write(ctx, changes...); {
	case err == nil:
		for _, c := range changes {
			i.count(c.Key)
		}
		return nil
	case !errors.Is(err, lonja.Conflict):
		return err
	case len(changes) == 1:
		i.report.Skipped++
		if name, err := parseKey(changes[0].Key); err == nil && name.kind == accountRecord {
			i.taken[name.user] = true
		}
		return nil
	}
	half := len(changes) / 2
	if err := i.apply(ctx, changes[:half]); err != nil {
		return err
	}
	return i.apply(ctx, changes[half:])
}

// isOfTaken reports whether a change is a publication of an account that
// somebody else has made first, and counts it as skipped.
func (i *importer) isOfTaken(c store.Change) bool {
	if len(i.taken) == 0 {
		return false
	}
	name, err := parseKey(c.Key)
	if err != nil || name.kind != fileRecord || !i.taken[name.user] || i.incarnations[name.user] != name.incarnation {
		return false
	}
	i.report.Skipped++
	return true
}
