package identity

// A hidden value is one that fmt does not print, whatever the verb, also in fields that
// it cannot ask to print themselves: there, for a verb that does not fit, it prints the
// slice that a pointer points at, but not what a pointer to a pointer leads to. The zero
// hidden holds nothing.
type hidden[T any] struct{ at **T }

func hide[T any](v T) hidden[T] {
	at := &v
	return hidden[T]{&at}
}

// value returns what is hidden, or the zero value.
func (h hidden[T]) value() (v T) {
	if h.at == nil {
		return v
	}
	return **h.at
}
