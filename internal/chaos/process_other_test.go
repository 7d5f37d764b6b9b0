//go:build !linux

package chaos

import "syscall"

// dieWithParent has nothing to offer here: a process ends when it sees its standard input end.
func dieWithParent() *syscall.SysProcAttr { return nil }
