package shell

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"lonja"
)

// findUsage is how usage shows the arguments of FIND.
const findUsage = "<words...> [base:NAME] [ext:EXTENSION] [owner:USER] [min:SIZE] [max:SIZE] [online:yes] [limit:N]"

// The filters are what FIND takes beside words: a name, a colon and a value.
// They need no quoting: searching does not look at colons, so whoever means
// the words writes "ext ogg" for "ext:ogg".
var filters = []struct {
	name string
	set  func(*lonja.Query, string) error
}{
	{"base", setBase},
	{"ext", setExtension},
	{"owner", func(q *lonja.Query, s string) (err error) { q.Owner, err = lonja.ParseUserName(s); return err }},
	{"min", func(q *lonja.Query, s string) (err error) { q.MinSize, err = ParseSize(s); return err }},
	{"max", setMaxSize},
	{"online", setOnline},
	{"limit", setLimit},
}

// Filters returns the name of each filter of FIND.
func Filters() []string {
	names := make([]string, len(filters))
	for i, f := range filters {
		names[i] = f.name
	}
	return names
}

// SetFilter takes the value of the filter with that name, in any case, over
// into q. The error says what is wrong with the value and nothing else.
func SetFilter(q *lonja.Query, name, value string) error {
	for _, f := range filters {
		if !strings.EqualFold(f.name, name) {
			continue
		}
		if err := f.set(q, value); err != nil {
			return errors.New(reason(err))
		}
		return nil
	}
	return errors.New("there is no such filter")
}

// parseFind reads what follows FIND on its line.
func parseFind(words []string) (Command, error) {
	cmd := Command{Verb: Find}
	var plain []string
	said := false
	for _, word := range words {
		name, value, ok := strings.Cut(word, ":")
		if ok && isFilter(name) {
			if err := SetFilter(&cmd.Query, name, value); err != nil {
				return Command{}, badArgument(fmt.Errorf("%s: %w", word, err))
			}
			said = true
		} else if word != "" {
			plain = append(plain, word)
		}
	}
	cmd.Query.Words = strings.Join(plain, " ")
	cmd.More = !said && len(plain) == 0
	if err := cmd.Query.Check(); err != nil {
		return Command{}, badArgument(err)
	}
	return cmd, nil
}

func isFilter(name string) bool {
	for _, f := range filters {
		if strings.EqualFold(f.name, name) {
			return true
		}
	}
	return false
}

// setBase takes the base name of a whole path too, as GET_MULTIFILE does.
func setBase(q *lonja.Query, s string) error {
	name, err := lonja.ParseFileName(s)
	if err != nil {
		return err
	}
	if q.Base = lonja.FileName(name.Base()); q.Base == "" {
		return errors.New("the name is that of a folder")
	}
	return nil
}

// setExtension takes the dot in front as well.
func setExtension(q *lonja.Query, s string) error {
	if q.Extension = strings.TrimPrefix(s, "."); q.Extension == "" {
		return errors.New("an extension like ogg is missing")
	}
	return nil
}

func setMaxSize(q *lonja.Query, s string) (err error) {
	if q.MaxSize, err = ParseSize(s); err == nil && q.MaxSize == 0 {
		err = errors.New("the largest size must be above zero")
	}
	return err
}

func setOnline(q *lonja.Query, s string) error {
	yes := strings.EqualFold(s, "yes")
	if !yes && !strings.EqualFold(s, "no") {
		return errors.New("neither yes nor no")
	}
	q.OnlineOnly = yes
	return nil
}

func setLimit(q *lonja.Query, s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > lonja.MaxFound {
		return fmt.Errorf("not a number from 1 to %d", lonja.MaxFound)
	}
	q.Limit = n
	return nil
}
