package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one of a run's: the test binary in a role.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{} // closed when it is gone, and waited for
	err   error
	end   int64
	meant bool
}

// launch starts processes in a thread that lives as long as the run, because they are told to die with the thread that started them.
type launcher chan func()

func newLauncher(t testing.TB) launcher {
	l := make(launcher)
	var gone sync.WaitGroup
	gone.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for start := range l {
			start()
		}
	})
	t.Cleanup(func() {
		close(l)
		gone.Wait()
	})
	return l
}

func (l launcher) start(dir string, r role) (*process, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, r.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{name: r.Name, cmd: exec.Command(os.Args[0]), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+string(text))
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = dieWithParent()
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	started := make(chan error)
	l <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", r.Name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		p.end = now()
		close(p.ended)
	}()
	return p, nil
}

// kill is kill -9. It returns when the process is gone.
func (p *process) kill() (Span, error) {
	from := now()
	p.meant = true
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		return Span{}, fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.ended
	return Span{from, p.end}, nil
}

// stop lets the process finish what it is doing.
func (p *process) stop(patience time.Duration) error {
	p.meant = true
	p.stdin.Close()
	select {
	case <-p.ended:
	case <-time.After(patience):
		_, _ = p.kill()
		return fmt.Errorf("%s did not stop within %s", p.name, patience)
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w", p.name, p.err)
	}
	return nil
}

// died says that the process ended without being told to.
func (p *process) died() error {
	select {
	case <-p.ended:
		if !p.meant {
			return fmt.Errorf("%s died by itself: %v", p.name, p.err)
		}
	default:
	}
	return nil
}
