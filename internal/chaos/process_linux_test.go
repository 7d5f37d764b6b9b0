package chaos

import "syscall"

// dieWithParent makes a process end with the harness, even where it is paused and does not see its standard input end.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
