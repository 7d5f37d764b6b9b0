package pgtest

import (
	"log"
	"testing"
)

// Example is [New] for an example, which has no test to report to. The caller drops the database.
func Example() (db *Database, drop func()) {
	t := &exampleTB{}
	return New(t), func() {
		for i := range t.cleanups {
			t.cleanups[len(t.cleanups)-1-i]()
		}
	}
}

type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (t *exampleTB) Helper()                           {}
func (t *exampleTB) Cleanup(f func())                  { t.cleanups = append(t.cleanups, f) }
func (t *exampleTB) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }
func (t *exampleTB) Errorf(format string, args ...any) { log.Fatalf(format, args...) }
