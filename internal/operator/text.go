package operator

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"unicode/utf8"

	"lonja"
)

// Text is a string of any bytes that JSON keeps. UTF-8 is a JSON string;
// anything else, which JSON has no place for, is {"base64": "..."}.
type Text string

// base64Text is the JSON of a Text that is not UTF-8.
type base64Text struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON implements json.Marshaler.
func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(base64Text{[]byte(t)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	var raw struct {
		Base64 *[]byte `json:"base64"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	if raw.Base64 == nil {
		return fmt.Errorf(`text is neither a string nor {"base64": "..."}`)
	}
	*t = Text(*raw.Base64)
	return nil
}

// accountJSON is how an Account looks as JSON.
type accountJSON struct {
	User         Text   `json:"user"`
	Publications int    `json:"publications"`
	Connected    bool   `json:"connected"`
	At           string `json:"at,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (a Account) MarshalJSON() ([]byte, error) {
	out := accountJSON{User: Text(a.User), Publications: a.Publications, Connected: a.Connected}
	if a.Connected {
		out.At = a.At.String()
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Account) UnmarshalJSON(b []byte) error {
	var in accountJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	user, err := lonja.ParseUserName(string(in.User))
	if err != nil {
		return err
	}
	*a = Account{User: user, Publications: in.Publications, Connected: in.Connected}
	if in.At != "" {
		if a.At.AddrPort, err = netip.ParseAddrPort(in.At); err != nil {
			return err
		}
	}
	return nil
}
