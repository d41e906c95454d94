package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"lonja"
	"lonja/internal/peercert"
)

func TestMain(m *testing.M) {
	testOnlyWorkFactor = 10
	os.Exit(m.Run())
}

// fileIn returns a File in a directory that is not there yet.
func fileIn(t testing.TB, passphrase string) File {
	return File{
		Dir: filepath.Join(t.TempDir(), "lonja"),
		Ask: func() (Passphrase, error) { return NewPassphrase(passphrase), nil },
	}
}

func made(t testing.TB, f File) Key {
	t.Helper()
	k, made, err := f.LoadOrMake()
	if err != nil || !made {
		t.Fatalf("made: %t, %v", made, err)
	}
	return k
}

func TestMadeAtFirstUse(t *testing.T) {
	f := fileIn(t, "")
	if _, err := f.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: got error %v", err)
	}
	k := made(t, f)
	again, twice, err := f.LoadOrMake()
	if err != nil || twice || !again.Equal(k) {
		t.Errorf("second time: made: %t, %v", twice, err)
	}
	for path, want := range map[string]fs.FileMode{f.Dir: 0o700, f.Path(): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	text, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err != nil || !parsed.(ed25519.PrivateKey).Equal(k.private()) {
		t.Errorf("the file is no PKCS #8: %v", err)
	}
}

// TestManyMakeOne: however many begin at once, there is one key.
func TestManyMakeOne(t *testing.T) {
	f := fileIn(t, "")
	const many = 16
	var all sync.WaitGroup
	keys, makers := make([]Key, many), make([]bool, many)
	for i := range many {
		all.Go(func() {
			var err error
			if keys[i], makers[i], err = f.LoadOrMake(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	count := 0
	for i := range many {
		if !keys[i].Equal(keys[0]) {
			t.Errorf("%d has another key", i)
		}
		if makers[i] {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d made it, want 1", count)
	}
}

func TestOpenRightsAreRefused(t *testing.T) {
	f := fileIn(t, "")
	made(t, f)
	for path, mode := range map[string]fs.FileMode{f.Path(): 0o640, f.Dir: 0o775} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, errLoad := f.Load()
		_, madeOne, errMake := f.LoadOrMake()
		_, errImport := f.Import(newKey(t).PEM().Bytes(), true)
		for _, err := range []error{errLoad, errMake, errImport, f.Seal(NewPassphrase("x")), f.Unseal()} {
			if !errors.Is(err, lonja.LocalFile) || !strings.Contains(err.Error(), "chmod") || madeOne {
				t.Errorf("%s with mode %v: got error %v", path, mode, err)
			}
		}
		if err := os.Chmod(path, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Load(); err != nil {
		t.Error(err)
	}
}

// TestDamagedIsNotMadeAnew: a key that cannot be read is never replaced.
func TestDamagedIsNotMadeAnew(t *testing.T) {
	f := fileIn(t, "secret")
	k := made(t, f)
	if err := f.Seal(NewPassphrase("secret")); err != nil {
		t.Fatal(err)
	}
	sealedText, err := os.ReadFile(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ecdsaKey)
	if err != nil {
		t.Fatal(err)
	}
	plain := k.PEM().Bytes()
	for name, text := range map[string][]byte{
		"empty":       {},
		"cut":         plain[:60],
		"another":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"sealed, cut": sealedText[:len(sealedText)-60],
		"two":         append(bytes.Clone(plain), plain...),
		"certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	} {
		if err := os.WriteFile(f.Path(), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, again, err := f.LoadOrMake(); !errors.Is(err, lonja.Damaged) || again || !strings.Contains(err.Error(), f.Path()) {
			t.Errorf("%s: made: %t, got error %v, want %v", name, again, err, lonja.Damaged)
		}
		if now, err := os.ReadFile(f.Path()); err != nil || !bytes.Equal(now, text) {
			t.Errorf("%s: the file has changed", name)
		}
	}
}

func TestSealing(t *testing.T) {
	f := fileIn(t, "first")
	k := made(t, f)
	if err := f.Seal(Passphrase{}); !errors.Is(err, lonja.Invalid) {
		t.Errorf("empty passphrase: got error %v", err)
	}
	if err := f.Seal(NewPassphrase("first")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.Path())
	if err != nil || bytes.Contains(text, []byte("PRIVATE KEY")) {
		t.Errorf("sealed: %v\n%s", err, text)
	}
	if is, err := f.Sealed(); !is || err != nil {
		t.Errorf("sealed: got %t, %v", is, err)
	}
	if got, err := f.Load(); err != nil || !got.Equal(k) {
		t.Errorf("got error %v, or another key", err)
	}
	wrong := f
	wrong.Ask = func() (Passphrase, error) { return NewPassphrase("wrong"), nil }
	mute := File{Dir: f.Dir}
	for name, other := range map[string]File{"wrong": wrong, "nobody to ask": mute} {
		if _, _, err := other.LoadOrMake(); !errors.Is(err, lonja.Forbidden) {
			t.Errorf("%s: got error %v, want %v", name, err, lonja.Forbidden)
		}
		if err := other.Unseal(); !errors.Is(err, lonja.Forbidden) {
			t.Errorf("%s: unseal: got error %v, want %v", name, err, lonja.Forbidden)
		}
	}
	if err := f.Seal(NewPassphrase("second")); err != nil { // f knows the first
		t.Fatal(err)
	}
	if _, err := f.Load(); !errors.Is(err, lonja.Forbidden) {
		t.Errorf("the old passphrase: got error %v", err)
	}
	f.Ask = func() (Passphrase, error) { return NewPassphrase("second"), nil }
	if err := f.Unseal(); err != nil {
		t.Fatal(err)
	}
	if got, err := mute.Load(); err != nil || !got.Equal(k) {
		t.Errorf("unsealed: got error %v, or another key", err)
	}
}

// TestSealedIsAnAgeFile: age itself opens it.
func TestSealedIsAnAgeFile(t *testing.T) {
	k := newKey(t)
	text, err := Seal(k, NewPassphrase("secret"))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := age.NewScryptIdentity("secret")
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(text.Bytes())), identity)
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(r); err != nil || !bytes.Equal(plain.Bytes(), k.PEM().Bytes()) {
		t.Errorf("age reads something else: %v", err)
	}
}

// TestSealingIsDear: what these tests do not pay, users do.
func TestSealingIsDear(t *testing.T) {
	testOnlyWorkFactor = workFactor
	t.Cleanup(func() { testOnlyWorkFactor = 10 })
	text, err := Seal(newKey(t), NewPassphrase("secret"))
	if err != nil {
		t.Fatal(err)
	}
	header, err := io.ReadAll(io.LimitReader(armor.NewReader(bytes.NewReader(text.Bytes())), 64))
	if err != nil || !regexp.MustCompile(`-> scrypt [^ ]+ 18\n`).Match(header) {
		t.Errorf("got %q, %v", header, err)
	}
}

// TestDearFile: a file from elsewhere may ask for far more than can be paid. It
// is written by hand, since to make it would cost as much.
func TestDearFile(t *testing.T) {
	header := "age-encryption.org/v1\n-> scrypt YWJjZGVmZ2hpamtsbW5vcA 21\n" +
		strings.Repeat("A", 43) + "\n--- " + strings.Repeat("A", 43) + "\n"
	var text bytes.Buffer
	w := armor.NewWriter(&text)
	_, err := w.Write([]byte(header))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := unseal(text.Bytes(), NewPassphrase("secret")); !errors.Is(err, lonja.Damaged) || !strings.Contains(err.Error(), "too large") {
		t.Errorf("a file that asks for 2 GiB: got error %v", err)
	}
}

func TestImport(t *testing.T) {
	from, to := fileIn(t, "secret"), fileIn(t, "secret")
	k := made(t, from)
	plain := k.PEM().Bytes()
	sealedText, err := Seal(k, NewPassphrase("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{plain, sealedText.Bytes()} {
		f := fileIn(t, "secret")
		if _, err := f.Import(text, false); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Load(); err != nil || !got.Equal(k) {
			t.Errorf("got error %v, or another key", err)
		}
		if is, _ := f.Sealed(); is != sealed(text) {
			t.Errorf("sealed: %t, but it was not what was imported", is)
		}
	}
	other := made(t, to)
	if _, err := to.Import(plain, false); !errors.Is(err, lonja.Conflict) {
		t.Errorf("over another key: got error %v, want %v", err, lonja.Conflict)
	}
	if got, err := to.Load(); err != nil || !got.Equal(other) {
		t.Errorf("after that: got error %v, or another key", err)
	}
	if _, err := to.Import(other.PEM().Bytes(), false); err != nil {
		t.Errorf("the same key: %v", err)
	}
	if _, err := to.Import([]byte("rubbish"), true); !errors.Is(err, lonja.Damaged) {
		t.Errorf("rubbish: got error %v", err)
	}
	if _, err := to.Import(plain, true); err != nil {
		t.Fatal(err)
	}
	if got, err := to.Load(); err != nil || !got.Equal(k) {
		t.Errorf("forced: got error %v, or another key", err)
	}
	aside, err := os.ReadFile(to.Path() + ".before-" + k.PublicKey().ID().String()[:16])
	if got, errParse := ParseKey(aside); err != nil || errParse != nil || !got.Equal(other) {
		t.Errorf("what was there is lost: %v, %v", err, errParse)
	}
}

// TestSecretsDoNotPrint, with any verb, in structures, and in the log.
func TestSecretsDoNotPrint(t *testing.T) {
	k := newKey(t)
	p := NewPassphrase("correct horse")
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", slog.Any("key", k), slog.Any("passphrase", p), slog.Any("pem", k.PEM()), slog.Any("pointer", &k))
	printed := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%c", "%U", "%t"} {
		for _, v := range []any{k, &k, p, &p, k.PEM(), []any{k, p, k.PEM()}, struct{ K Key }{k}, struct {
			k Key
			p Passphrase
			s Secret
		}{k, p, k.PEM()}, File{}} {
			printed += fmt.Sprintf(verb, v)
		}
	}
	private := []byte(k.private())
	for _, secret := range []string{
		"correct horse", fmt.Sprintf("%x", "correct horse"), "BEGIN", hex.EncodeToString(private[:8]),
		fmt.Sprint(private[:4]), strings.Trim(fmt.Sprint(private[:8]), "[]"), // fewer may stand in the identity by chance
		strings.Trim(fmt.Sprint([]byte("BEGIN")), "[]"), strings.Trim(fmt.Sprint([]byte("correct")), "[]"),
	} {
		if strings.Contains(strings.ToLower(printed), strings.ToLower(secret)) {
			t.Errorf("%q is printed", secret)
		}
	}
	if id := k.PublicKey().ID().String()[:16]; !strings.Contains(printed, id) {
		t.Errorf("the identity %s is not printed", id)
	}
}

func TestFingerprints(t *testing.T) {
	id := lonja.PeerID(sha256.Sum256([]byte("x")))
	for _, text := range []string{Hex(id), id.String(), strings.ToUpper(id.String()), strings.ReplaceAll(Hex(id), " ", ":"), " " + Hex(id) + " "} {
		if got, err := ParseHex(text); err != nil || got != id {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "00", Hex(id)[1:], Hex(id) + "0", Hex(id) + " 00", "g" + Hex(id)[1:]} {
		if _, err := ParseHex(text); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%q: got error %v, want %v", text, err, lonja.Invalid)
		}
	}
	// The vectors of BIP 39 for 128 bits.
	zero, ones := lonja.PeerID{}, lonja.PeerID{}
	for i := range 16 {
		ones[i] = 0xff
	}
	for want, id := range map[string]lonja.PeerID{
		strings.Repeat("abandon ", 11) + "about": zero,
		strings.Repeat("zoo ", 11) + "wrong":     ones,
	} {
		if got := Words(id); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := Hex(zero); got != strings.TrimSpace(strings.Repeat("0000 ", 16)) {
		t.Errorf("got %q", got)
	}
}

func TestCertificate(t *testing.T) {
	k := newKey(t)
	c, err := Certificate(k)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := peercert.KeyOf(leaf); err != nil || got != k.PublicKey() {
		t.Errorf("got %v, %v; want %v", got, err, k.PublicKey())
	}
	if got := sha256.Sum256(leaf.RawSubjectPublicKeyInfo); got != k.PublicKey().ID() {
		t.Errorf("got identity %x, want %v", got, k.PublicKey().ID())
	}
}

// FuzzParseKey: whatever is read, it ends, and a key that is found is written
// and read again.
func FuzzParseKey(f *testing.F) {
	k, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.PEM().Bytes())
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ParseKey(text)
		if err != nil {
			return
		}
		if again, err := ParseKey(k.PEM().Bytes()); err != nil || !again.Equal(k) {
			t.Errorf("its own PEM: %v", err)
		}
	})
}

func newKey(t testing.TB) Key {
	t.Helper()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestListedDirectory: who makes the directory by hand for the settings makes it so
// that others can list it, which does no harm to a key that they cannot read.
func TestListedDirectory(t *testing.T) {
	f := fileIn(t, "")
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, madeOne, err := f.LoadOrMake(); err != nil || !madeOne {
		t.Errorf("got made %t, %v", madeOne, err)
	}
	if info, err := os.Stat(f.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v; want a key for its owner only", info, err)
	}
	if _, err := f.Load(); err != nil {
		t.Error(err)
	}
}
