package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"lonja"
	"lonja/internal/store"
)

// A proof tells the records of a database from any other set of records: it
// is kept in the transactions that change them, so that whoever reads all of
// them knows whether they are all. Each record tells by its own checksum
// whether it is whole; that another one is missing, is there twice, or is
// older than it was, only the proof tells.
//
// The sum does not depend on the order, so a change takes as long as its own
// records. It is against disks that lose pages, not against people who write
// to the file.
type proof struct {
	rev     store.Rev // of the latest change, also of one that deleted
	records uint64
	sum     uint64 // of all records' marks, modulo 2^64
}

// mark is what a record adds to the sum: XXH64 of its revision, as 8 bytes
// big-endian, and its key.
func mark(rev store.Rev, key store.Key) uint64 {
	var buf [256]byte // most keys fit, and nothing is allocated for them
	return xxhash.Sum64(append(binary.BigEndian.AppendUint64(buf[:0], uint64(rev)), key...))
}

func (p *proof) add(rev store.Rev, key store.Key) {
	p.records++
	p.sum += mark(rev, key)
}

func (p *proof) remove(rev store.Rev, key store.Key) {
	p.records--
	p.sum -= mark(rev, key)
}

const (
	// proofKey is what a proof is sealed under, as a record is under its key.
	proofKey  = "latest"
	proofSize = 3 * 8
)

// seal returns the proof as it is in the database: its three numbers, 8 bytes
// big-endian each, sealed.
func (p proof) seal() []byte {
	b := make([]byte, 0, proofSize)
	for _, n := range []uint64{uint64(p.rev), p.records, p.sum} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return store.Seal(nil, proofKey, b)
}

// parseProof is the way back. An error is of kind Damaged.
func parseProof(sealed []byte) (proof, error) {
	b, err := store.Unseal(proofKey, sealed)
	if err == nil && len(b) != proofSize {
		err = lonja.E(lonja.Damaged, "read proof", fmt.Errorf("it has %d bytes, not %d", len(b), proofSize))
	}
	if err != nil {
		return proof{}, err
	}
	return proof{
		rev:     store.Rev(binary.BigEndian.Uint64(b)),
		records: binary.BigEndian.Uint64(b[8:]),
		sum:     binary.BigEndian.Uint64(b[16:]),
	}, nil
}

// readProof reads the proof. known is false if there is none: then it only has
// the revision.
func readProof(ctx context.Context, db *sql.DB) (p proof, known bool, err error) {
	var rev store.Rev
	var sealed []byte
	if err := db.QueryRowContext(ctx, "SELECT rev, proof FROM latest").Scan(&rev, &sealed); err != nil {
		return p, false, err
	}
	if sealed == nil {
		return proof{rev: rev}, false, nil
	}
	p, err = parseProof(sealed)
	if err == nil && p.rev != rev {
		err = fmt.Errorf("the latest revision is %d, and by its proof %d", rev, p.rev)
	}
	if err != nil {
		return p, false, damaged("read proof", err)
	}
	return p, true, nil
}

// prove makes the proof of a database that has none, which is new or of a
// version that kept none, and has been checked.
func (s *Store) prove(ctx context.Context) error {
	rows, err := s.writer.QueryContext(ctx, "SELECT rev, key FROM records")
	if err != nil {
		return err
	}
	if err := addRows(rows, s.proof.add); err != nil {
		return err
	}
	_, err = s.writer.ExecContext(ctx, "UPDATE latest SET proof = ?", s.proof.seal())
	return err
}

// addRows calls add for all rows, which are revisions and keys, and closes
// them.
func addRows(rows *sql.Rows, add func(store.Rev, store.Key)) error {
	defer rows.Close()
	for rows.Next() {
		var rev store.Rev
		var key store.Key
		if err := rows.Scan(&rev, &key); err != nil {
			return err
		}
		add(rev, key)
	}
	return rows.Err()
}

// compare returns an error of kind Damaged unless the records that were read,
// as of want's revision, are those that want is the proof of.
func (p proof) compare(want proof) error {
	switch {
	case p.records != want.records:
		return damaged("feed", fmt.Errorf("%w: %d are there, and %d were written", store.ErrIncomplete, p.records, want.records))
	case p.sum != want.sum:
		return damaged("feed", fmt.Errorf("%w: the %d that are there are not those that were written last", store.ErrIncomplete, p.records))
	}
	return nil
}
