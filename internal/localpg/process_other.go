//go:build !linux

package localpg

import (
	"os/exec"
	"strconv"
	"strings"
)

// identify tells what a process has to do with a data directory.
func identify(pid int, data string) identity {
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	command := strings.TrimSpace(string(out))
	switch {
	case err != nil && command == "": // gone
		return stranger
	case strings.Contains(command, "postgres") && strings.Contains(command, "-D "+data):
		return ours
	case strings.Contains(command, "postgres"):
		return unsure
	}
	return stranger
}
