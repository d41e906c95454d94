package identity

import (
	"encoding/hex"
	"errors"
	"strings"

	"github.com/tyler-smith/go-bip39"

	"lonja"
)

// wordsBits is how much of an identity the words say. To find another key with
// the same words costs as much as to break the key itself.
const wordsBits = 128

// Hex returns a fingerprint for people to compare: the whole identity in
// hexadecimal, in groups of four.
func Hex(id lonja.PeerID) string {
	digits := id.String()
	groups := make([]string, 0, len(digits)/4)
	for ; digits != ""; digits = digits[4:] {
		groups = append(groups, digits[:4])
	}
	return strings.Join(groups, " ")
}

// ParseHex reads a fingerprint as Hex, PeerID.String or common tools write it:
// in either case, with blanks, colons or dashes wherever they are. The error is
// of kind Invalid.
func ParseHex(s string) (id lonja.PeerID, err error) {
	digits := strings.NewReplacer(" ", "", ":", "", "-", "").Replace(s)
	b, err := hex.DecodeString(digits)
	if err != nil || len(b) != len(id) {
		err = errors.New("a fingerprint has 64 hexadecimal digits")
	}
	if err != nil {
		return id, lonja.E(lonja.Invalid, "read fingerprint", err)
	}
	return lonja.PeerID(b), nil
}

// Words returns a fingerprint for people to read to each other: twelve English
// words, the first 128 bits of the identity and a check of 4, by the list and
// the rule of BIP 39. They say no secret and restore nothing.
func Words(id lonja.PeerID) string {
	words, err := bip39.NewMnemonic(id[:wordsBits/8])
	if err != nil {
		panic(err) // it cannot fail for this many bits
	}
	return words
}
