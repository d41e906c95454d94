package fileapi

import "testing"

func TestPlaceAndWait(t *testing.T) {
	for _, n := range []int{0, 1, 57, maxPlace} {
		if got, ok := ParsePlace(FormatPlace(n)); got != n || !ok {
			t.Errorf("place %d comes back as %d, %v", n, got, ok)
		}
	}
	for _, bad := range []string{"", "-1", "+1", " 1", "1.0", "x", "1000001", "99999999999999999999"} {
		if got, ok := ParsePlace(bad); ok {
			t.Errorf("%q is taken for place %d", bad, got)
		}
	}
	for text, want := range map[string]int{
		FormatWait(10): 10, "wait=0": 0, "respond-async, wait=7": 7, "Wait = 7": 7, "wait=7;x=y": 7, "wait=x, wait=3": 3, "wait=999999": maxWait,
		"": -1, "wait": -1, "wait=": -1, "wait=-1": -1, "waiting=3": -1, "respond-async": -1,
	} {
		got, ok := ParseWait(text)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, ok, want)
		}
	}
	if got, ok := ParseRetryAfter("10"); got != 10 || !ok {
		t.Errorf("10: %d, %v", got, ok)
	}
	if _, ok := ParseRetryAfter("Fri, 31 Dec 1999 23:59:59 GMT"); ok {
		t.Error("a date is taken for a number")
	}
}

func FuzzQueueHeaders(f *testing.F) {
	for _, seed := range []string{"", "3", "wait=10", "respond-async, wait=3;x", "-1", "00000000000000"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if place, ok := ParsePlace(text); ok {
			if again, ok := ParsePlace(FormatPlace(place)); !ok || again != place || place < 0 || place > maxPlace {
				t.Errorf("%q: %d, then %d", text, place, again)
			}
		}
		if seconds, ok := ParseWait(text); ok {
			if again, ok := ParseWait(FormatWait(seconds)); !ok || again != seconds || seconds < 0 || seconds > maxWait {
				t.Errorf("%q: %d, then %d", text, seconds, again)
			}
		}
		if seconds, ok := ParseRetryAfter(text); ok && (seconds < 0 || seconds > maxWait) {
			t.Errorf("%q: %d", text, seconds)
		}
	})
}
