package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lonja"
	"lonja/internal/hashing"
	"lonja/internal/node"
	"lonja/internal/outboards"
)

// askOptions are those of a command that asks a directory something for a member
// and ends.
type askOptions struct {
	memberOptions
	user string
	json bool

	serving *nodeOptions // nil: it serves nothing
	part    *partOptions // of what fetches and does not serve; or nil
}

func (o *askOptions) addFlags(f *pflag.FlagSet) {
	o.memberOptions.addFlags(f)
	f.StringVar(&o.user, "user", "", "ask as `name` (default: the one name that was registered from here)")
	addJSONFlag(f, &o.json)
}

func addJSONFlag(f *pflag.FlagSet, asJSON *bool) {
	f.BoolVar(asJSON, "json", false, "print each as a JSON object on a line of its own")
	notSettings(f, "json")
}

// An asker is a member for the time of one command. It begins no session, but for what
// serves and for partOptions.
type asker struct {
	*member
	user   lonja.UserName
	node   *node.Node
	errand *node.Errand
	hashes *hashing.Cache
	trees  *outboards.Store
}

// as has do ask as the member of the options.
func (o *askOptions) as(cmd *cobra.Command, do func(*asker) error) error {
	a, err := o.asker(cmd)
	if err != nil {
		return err
	}
	defer a.close()
	return a.explain(do(a))
}

// asNamed is as for a name that may not be one's own yet.
func (o *askOptions) asNamed(cmd *cobra.Command, name lonja.UserName, do func(*asker) error) error {
	a, err := o.askerNamed(cmd, name)
	if err != nil {
		return err
	}
	defer a.close()
	return a.explain(do(a))
}

// asker finds out who asks. The caller closes it.
func (o *askOptions) asker(cmd *cobra.Command) (*asker, error) {
	user, err := o.who()
	if err != nil {
		return nil, err
	}
	return o.askerNamed(cmd, user)
}

// who returns the user of the options, or else the one that was registered from here.
func (o *askOptions) who() (lonja.UserName, error) {
	if err := o.remembered(); err != nil {
		return "", err
	}
	where, err := o.site()
	if err != nil {
		return "", err
	}
	if o.user != "" {
		return lonja.ParseUserName(o.user)
	}
	state, err := stateDir(o.stateDir)
	if err != nil {
		return "", err
	}
	names, err := readNames(state)
	if err != nil {
		return "", err
	}
	return names.onlyName(where.name())
}

// askerNamed returns what asks as user.
func (o *askOptions) askerNamed(cmd *cobra.Command, user lonja.UserName) (*asker, error) {
	m, err := o.memberOptions.open(cmd)
	if err != nil {
		return nil, err
	}
	a := &asker{member: m, user: user, hashes: m.hashes(), trees: m.outboards()}
	how := node.Options{
		Directory: m.client, DirectoryName: m.name(), StateDir: m.state, Log: m.log,
		Secure: &node.SecureOptions{
			Directory: m.client, Key: m.key, Authority: m.set, Follow: m.follow, Pins: m, Hashes: a.hashes, Outboards: a.trees, Invitation: m.invitation,
		},
	}
	if s := o.serving; s != nil {
		how.Listen, how.Secure.ClassicOff = s.listen, s.classic == switchOff
		how.Secure.MapPort = s.mapping == switchOn && !isLoopback(s.listen)
		how.Secure.Rates = s.rateOptions.rates()
	} else if o.part != nil {
		o.part.set(&how)
	}
	a.node = node.New(how)
	if a.errand, err = a.node.Errand(user); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// self is who asks.
func (a *asker) self() lonja.Member { return lonja.Member{User: a.user, Key: a.key.PublicKey()} }

func (a *asker) close() {
	a.node.Close()
	a.member.close()
	_ = a.trees.Close()
	_ = a.hashes.Close()
}

// explain says what to do about what a person can mend.
func (a *asker) explain(err error) error {
	name := lonja.Printable(string(a.user))
	switch {
	case errors.Is(err, lonja.NoSuchUser):
		return fmt.Errorf("%w; register it: lonja register %s -s %s", err, name, a.name())
	case errors.Is(err, lonja.OtherKey):
		return fmt.Errorf("%w; \"lonja id\" shows the key here, \"lonja id keys %s\" those of the name", err, name)
	case errors.Is(err, lonja.Unavailable) && fromDirectory(err):
		return fmt.Errorf("the directory at %s cannot be reached: %w; does it run, and is that its address? (-s says another)", a.name(), err)
	case errors.Is(err, lonja.NotConnected):
		return fmt.Errorf("%w; a name without a key must be connected to ask: claim it with \"lonja id claim %s\"", err, name)
	}
	return err
}
