package natscluster

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
)

// credentials are what replaces accounts with passwords: an operator, whose
// key signs accounts, whose keys sign users.
type credentials struct {
	config string // in the place of accounts {}
	// Paths of .creds files: of the directory, of one whose time is over, and
	// of the operator.
	user, expired, system string
}

// An account is one of the operator's, with its key.
type account struct {
	key  nkeys.KeyPair
	name string // the public key
}

func newAccount() (account, error) {
	key, err := nkeys.CreateAccount()
	if err != nil {
		return account{}, err
	}
	name, err := key.PublicKey()
	return account{key, name}, err
}

// makeCredentials makes an operator with two accounts, as the sample
// configuration has them, and their users' files in dir.
func makeCredentials(dir string) (c credentials, err error) {
	operator, err := nkeys.CreateOperator()
	if err != nil {
		return c, err
	}
	name, err := operator.PublicKey()
	system, err2 := newAccount()
	lonja, err3 := newAccount()
	if err := errors.Join(err, err2, err3); err != nil {
		return c, err
	}
	operatorJWT, err := token(operator, name, 0, object{"type": "operator", "system_account": system.name})
	if err != nil {
		return c, err
	}
	const question = "$SYS.REQ.SERVER.PING.JSZ"
	limits := object{
		"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
	}
	systemJWT, err := token(operator, system.name, 0, object{
		"type": "account", "limits": limits,
		"exports": []object{{"name": "syncs", "subject": question, "type": "service", "response_type": "Stream"}},
	})
	if err != nil {
		return c, err
	}
	kept := object{"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
	for what, limit := range limits {
		kept[what] = limit
	}
	lonjaJWT, err := token(operator, lonja.name, 0, object{
		"type": "account", "limits": kept,
		"imports": []object{{"name": "syncs", "subject": question, "account": system.name, "type": "service"}},
	})
	if err != nil {
		return c, err
	}
	c.config = fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n  %s: %s\n  %s: %s\n}\n",
		operatorJWT, system.name, system.name, systemJWT, lonja.name, lonjaJWT)
	c.user, c.expired, c.system = filepath.Join(dir, "lonja.creds"), filepath.Join(dir, "expired.creds"), filepath.Join(dir, "system.creds")
	return c, errors.Join(
		writeUser(c.user, lonja, time.Now().Add(lifetime)),
		writeUser(c.expired, lonja, time.Now().Add(-time.Hour)),
		writeUser(c.system, system, time.Now().Add(lifetime)))
}

type object map[string]any

// token returns the claims about a key, signed by another; expires is in Unix
// seconds, 0 for never.
func token(signer nkeys.KeyPair, about string, expires int64, claims object) (string, error) {
	issuer, err := signer.PublicKey()
	if err != nil {
		return "", err
	}
	claims["version"] = 2
	body := object{"jti": about, "iat": time.Now().Unix(), "iss": issuer, "sub": about, "name": about, "nats": claims}
	if expires != 0 {
		body["exp"] = expires
	}
	payload, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"typ":"JWT","alg":"ed25519-nkey"}`)) + "." + encode(payload)
	signature, err := signer.Sign([]byte(signed))
	return signed + "." + encode(signature), err
}

// writeUser writes the .creds file of a new user.
func writeUser(path string, of account, expires time.Time) error {
	user, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	name, err := user.PublicKey()
	if err != nil {
		return err
	}
	jwt, err := token(of.key, name, expires.Unix(), object{"type": "user", "pub": object{}, "sub": object{}, "subs": -1, "data": -1, "payload": -1})
	if err != nil {
		return err
	}
	seed, err := user.Seed()
	if err != nil {
		return err
	}
	content := "-----BEGIN NATS USER JWT-----\n" + jwt + "\n------END NATS USER JWT------\n\n" +
		"-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n"
	return os.WriteFile(path, []byte(content), 0o600)
}

// replaceAccounts puts the credentials in the place of the sample
// configuration's accounts.
func (c credentials) replaceAccounts(text string) (string, error) {
	const end = "system_account: SYSTEM\n"
	from, to := strings.Index(text, "\naccounts {"), strings.Index(text, end)
	if from < 0 || to < from {
		return "", errors.New("the sample configuration has no accounts {} before its system_account")
	}
	return text[:from+1] + c.config + text[to+len(end):], nil
}
