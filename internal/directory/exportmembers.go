package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"lonja"
	"lonja/internal/operator"
	"lonja/internal/statement"
	"lonja/internal/store"
)

// An exportKey is one of the keys of an account, each after that which endorsed
// it. Keys are texts as lonja.ParsePublicKey takes them.
type exportKey struct {
	Key       string        `json:"key"`
	Label     operator.Text `json:"label,omitempty"`
	Date      int64         `json:"date"`
	By        string        `json:"by,omitempty"`
	Signature []byte        `json:"signature,omitempty"`
	Consent   []byte        `json:"consent,omitempty"`
	Revoked   int64         `json:"revoked,omitempty"`
}

// An exportProof is what makes a publication a signed one.
type exportProof struct {
	File      string          `json:"file"`
	Date      int64           `json:"date"`
	Audience  []operator.Text `json:"audience,omitempty"`
	Key       string          `json:"key"`
	Signature []byte          `json:"signature"`
	Folder    *exportFolder   `json:"folder,omitempty"`
}

type exportFolder struct {
	Files    int64 `json:"files"`
	ListSize int64 `json:"list_size"`
}

// An exportRevocation is a key that was taken back, and when the directory was
// told; or one whose account has ended, which has the account's number and no
// signature.
type exportRevocation struct {
	User      operator.Text `json:"user"`
	Key       string        `json:"key"`
	Date      int64         `json:"date"`
	By        string        `json:"by,omitempty"`
	Signature []byte        `json:"signature,omitempty"`
	Account   uint64        `json:"account,omitempty"`
	At        int64         `json:"at"`
}

func (d *Directory) exportKeys(user lonja.UserName) (keys []exportKey) {
	d.mu.RLock()
	ring := d.ring(user)
	d.mu.RUnlock()
	for _, r := range ring {
		k := exportKey{Key: r.Key.String(), Label: operator.Text(r.Label), Date: r.Date, Revoked: r.Revoked}
		if !r.By.IsZero() {
			k.By, k.Signature = r.By.String(), r.Signature[:]
			if statement.Agreed(r.Endorsement) {
				k.Consent = r.Consent[:]
			}
		}
		keys = append(keys, k)
	}
	return keys
}

func exportedProof(p *lonja.Proof) *exportProof {
	if p == nil {
		return nil
	}
	e := &exportProof{File: p.File.String(), Date: p.Date, Key: p.Key.String(), Signature: p.Signature[:]}
	for _, user := range p.Audience {
		e.Audience = append(e.Audience, operator.Text(user))
	}
	if f := p.Folder; f != nil {
		e.Folder = &exportFolder{f.Files, f.ListSize}
	}
	return e
}

// exportLedger writes invitations and revocations, and counts them.
func (d *Directory) exportLedger(lines *json.Encoder, end *exportEnd) error {
	invitations, err := d.Invitations(context.Background())
	if err != nil {
		return err
	}
	for _, i := range invitations {
		if err := lines.Encode(exportLine{Invitation: &i}); err != nil {
			return err
		}
		end.Invitations++
	}
	d.mu.RLock()
	revocations := append([]heldRevocation(nil), d.ledger.revocations...)
	d.mu.RUnlock()
	for _, r := range revocations {
		line := exportRevocation{User: operator.Text(r.User), Key: r.Key.String(), Date: r.Date, Account: r.Account, At: r.at}
		if r.Account == 0 {
			line.By, line.Signature = r.By.String(), r.Signature[:]
		}
		if err := lines.Encode(exportLine{Revocation: &line}); err != nil {
			return err
		}
		end.Revocations++
	}
	return nil
}

var errSignature = lonja.E(lonja.Invalid, "import", errors.New("a signature has 64 bytes"))

func importSignature(b []byte) (s lonja.Signature, err error) {
	if len(b) != len(s) {
		return s, errSignature
	}
	return lonja.Signature(b), nil
}

// record returns the value of an imported account.
func (a *exportAccount) record(user lonja.UserName, incarnation uint64) ([]byte, error) {
	if len(a.Keys) == 0 {
		return appendAccount(nil, incarnation), nil
	}
	ring := make([]lonja.KeyRecord, len(a.Keys))
	for i := range a.Keys {
		var err error
		if ring[i], err = a.Keys[i].record(user); err != nil {
			return nil, err
		}
	}
	if err := statement.CheckRing(ring); err != nil {
		return nil, lonja.E(lonja.Invalid, "import", err)
	}
	return appendBoundAccount(nil, incarnation, ring)
}

// record returns an imported key. Exports of before keys had to agree have no
// consents.
func (k *exportKey) record(user lonja.UserName) (r lonja.KeyRecord, err error) {
	r.User, r.Label, r.Date, r.Revoked = user, string(k.Label), k.Date, k.Revoked
	if r.Key, err = lonja.ParsePublicKey(k.Key); err != nil || k.By == "" {
		return r, err
	}
	if r.By, err = lonja.ParsePublicKey(k.By); err != nil {
		return r, err
	}
	if r.Signature, err = importSignature(k.Signature); err == nil && k.Consent != nil {
		r.Consent, err = importSignature(k.Consent)
	}
	return r, err
}

// proof returns the proof of an imported publication, nil if it has none.
func (e *exportProof) proof() (*lonja.Proof, error) {
	if e == nil {
		return nil, nil
	}
	p := &lonja.Proof{Date: e.Date}
	var err error
	if p.File, err = lonja.ParseFileID(e.File); err != nil {
		return nil, err
	}
	if p.Key, err = lonja.ParsePublicKey(e.Key); err != nil {
		return nil, err
	}
	if p.Signature, err = importSignature(e.Signature); err != nil {
		return nil, err
	}
	for _, user := range e.Audience {
		p.Audience = append(p.Audience, lonja.UserName(user))
	}
	if f := e.Folder; f != nil {
		p.Folder = &lonja.Folder{Files: f.Files, ListSize: f.ListSize}
	}
	return p, nil
}

func (i *importer) takeInvitation(ctx context.Context, in *operator.Invitation) error {
	var hash invitationHash
	if err := parseHex(hash[:], in.ID); err != nil {
		return lonja.E(lonja.Invalid, "import", err)
	}
	if in.Uses < 1 || in.Uses > operator.MaxUses || in.Used < 0 || in.Used > in.Uses || len(in.Note) > operator.MaxNote {
		return lonja.E(lonja.Invalid, "import", fmt.Errorf("an invitation for %d uses, of which there were %d", in.Uses, in.Used))
	}
	return i.addNew(ctx, store.Change{Key: invitationKey(hash), Value: appendInvitation(nil, *in)})
}

func (i *importer) takeRevocation(ctx context.Context, in *exportRevocation) error {
	r := lonja.Revocation{Date: in.Date, Account: in.Account}
	var err error
	if r.User, err = lonja.ParseUserName(string(in.User)); err != nil {
		return err
	}
	if r.Key, err = lonja.ParsePublicKey(in.Key); err != nil {
		return err
	}
	if r.Account == 0 {
		if r.By, err = lonja.ParsePublicKey(in.By); err == nil {
			r.Signature, err = importSignature(in.Signature)
		}
		if err != nil {
			return err
		}
	}
	if in.At < 0 || in.At > maxTime {
		return lonja.E(lonja.Invalid, "import", fmt.Errorf("a revocation at %d", in.At))
	}
	return i.addNew(ctx, store.Change{Key: revocationKey(in.At, r.User, r.Key), Value: appendRevocation(nil, r)})
}

// addNew adds what stands for itself, unless it is there.
func (i *importer) addNew(ctx context.Context, c store.Change) error {
	name, err := parseKey(c.Key)
	if err != nil {
		return lonja.E(lonja.Invalid, "import", err)
	}
	d := i.directory
	d.mu.RLock()
	_, there := d.ledger.invitations[name.invitation]
	if name.kind == revocationRecord {
		_, there = d.ledger.findRevocation(&heldRevocation{lonja.Revocation{User: name.user, Key: name.key}, name.at, 0})
	}
	d.mu.RUnlock()
	if there {
		i.report.Skipped++
		return nil
	}
	return i.add(ctx, c)
}

// count counts a record that was added.
func (i *importer) count(key store.Key) {
	name, err := parseKey(key)
	if err != nil {
		return // it was made here
	}
	switch name.kind {
	case accountRecord:
		i.report.Accounts++
	case fileRecord:
		i.report.Publications++
	case invitationRecord:
		i.report.Invitations++
	case revocationRecord:
		i.report.Revocations++
	}
}
