package localpg

import (
	"errors"
	"fmt"
	"strings"
)

// ErrDisposable says that a directory holds disposable data but durable data were asked for, or the other way round.
var ErrDisposable = errors.New("durable and disposable data do not mix: use another directory")

// NoBinariesError says that PostgreSQL's programs are missing.
type NoBinariesError struct {
	Major    int      // the only version that will do, as the data were made by it; 0 if any from MinMajor on will
	Rejected []string // the installations that were found, and what is wrong with each
	Download error    // why they could not be downloaded; nil if that was not tried
}

func (e *NoBinariesError) Error() string {
	var b strings.Builder
	if e.Major > 0 {
		fmt.Fprintf(&b, "found no PostgreSQL %d, which made the data", e.Major)
	} else {
		fmt.Fprintf(&b, "found no PostgreSQL %d or newer", MinMajor)
	}
	for _, r := range e.Rejected {
		fmt.Fprintf(&b, "; %s", r)
	}
	if e.Download != nil {
		fmt.Fprintf(&b, "; downloading it failed: %v", e.Download)
	}
	b.WriteString(". Install it (apt install postgresql, dnf install postgresql-server, brew install postgresql@17, postgresapp.com) " +
		"or put the directory with initdb, postgres and pg_ctl on PATH")
	return b.String()
}

func (e *NoBinariesError) Unwrap() error { return e.Download }

// StartError says that initdb or the server failed.
type StartError struct {
	Program string // "initdb" or "postgres"
	LogFile string // where all of the output is; empty for initdb
	Output  string // the end of what the program wrote
	Err     error
}

func (e *StartError) Error() string {
	message := fmt.Sprintf("start PostgreSQL: %s: %v", e.Program, e.Err)
	if e.LogFile != "" {
		message += "; its log is " + e.LogFile
	}
	if e.Output != "" {
		message += ":\n" + e.Output
	}
	return message
}

func (e *StartError) Unwrap() error { return e.Err }

// OwnerError says that the files of a cluster belong to somebody else, most often because an earlier run was root's.
type OwnerError struct {
	Path  string
	Owner string // a name, or a number where the user has none
	Dir   string // what to remove to begin afresh
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s belongs to user %s: run this as root or as that user, or remove the cluster and all its data with: sudo rm -rf %s",
		e.Path, e.Owner, e.Dir)
}

// UnsafeDirError says that a directory which must be private is not, so that others could get at the database.
type UnsafeDirError struct {
	Path   string
	Reason string
}

func (e *UnsafeDirError) Error() string {
	return fmt.Sprintf("%s %s: remove it, or choose a directory for the cluster whose path is shorter or that others cannot write to", e.Path, e.Reason)
}

// MissingProgramError says that one of PostgreSQL's programs is not installed.
type MissingProgramError struct{ Name string }

func (e *MissingProgramError) Error() string {
	return fmt.Sprintf("found no program %s: install PostgreSQL's client programs "+
		"(apt install postgresql, dnf install postgresql-contrib, brew install postgresql@17) or put their directory on PATH", e.Name)
}
