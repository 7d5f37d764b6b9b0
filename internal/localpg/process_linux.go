package localpg

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// identify tells what a process has to do with a data directory.
func identify(pid int, data string) identity {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(cmdline) == 0 { // gone, or a zombie
		return stranger
	}
	want, err := os.Stat(data)
	if err != nil {
		return unsure
	}
	// The server works in its data directory. Of other users' processes even root may be kept from seeing that, as in a container.
	if cwd, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil {
		if os.SameFile(cwd, want) {
			return ours
		}
		return stranger
	}
	args := bytes.Split(cmdline, []byte{0})
	for i, arg := range args[1:] {
		if string(args[i]) == "-D" && string(arg) == data {
			return ours
		}
	}
	if filepath.Base(string(args[0])) == "postgres" {
		return unsure
	}
	return stranger
}
