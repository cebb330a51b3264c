package console

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLines(t *testing.T) {
	l := Lines{Max: 3}
	for n := range 5 {
		l.Add(fmt.Sprint(n))
	}
	if d := cmp.Diff([]string{"2", "3", "4"}, l.All()); d != "" {
		t.Error(d)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 1000 {
			l.Add("a daemon")
		}
	})
	for range 1000 {
		if n := len(l.All()); n != 3 {
			t.Fatalf("%d lines", n)
		}
	}
	wg.Wait()
}
