package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// process is this program with another task, which it does until its input ends.
type process struct {
	said   string // its first line
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *tail
	stop   func() error // lets it end in good order; for the second time it does nothing
}

// stopPatience is how long another process may take to end before it is killed.
const stopPatience = 30 * time.Second

// start starts this program with other arguments, and returns once it has printed a line.
func (r *run) start(ctx context.Context, environment []string, arguments ...string) (*process, error) {
	// Not the caller's context: the process is stopped in good order, also when the run is interrupted.
	ending, kill := context.WithCancel(context.WithoutCancel(ctx))
	p := &process{cmd: r.Program(ending, environment, arguments...), stderr: &tail{}}
	p.cmd.Stderr = p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		kill()
		return nil, err
	}
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		kill()
		return nil, err
	}
	p.stop = sync.OnceValue(func() error {
		defer kill()
		p.stdin.Close()
		defer time.AfterFunc(stopPatience, kill).Stop()
		_, _ = io.Copy(io.Discard, stdout) // until it ends; Wait says how
		if err := p.cmd.Wait(); err != nil {
			return p.failed(err)
		}
		return nil
	})
	interrupted := context.AfterFunc(ctx, kill) // while it starts
	line, err := bufio.NewReaderSize(stdout, 64<<10).ReadString('\n')
	interrupted()
	if err != nil {
		kill()
		return nil, errors.Join(fmt.Errorf("waybill %s said nothing: %w", strings.Join(arguments, " "), err), p.stop())
	}
	p.said = strings.TrimSpace(line)
	return p, nil
}

func (p *process) failed(err error) error {
	return fmt.Errorf("waybill %s: %w: %s", strings.Join(p.cmd.Args[1:], " "), err, p.stderr)
}

// relay starts `waybill relay` on the subject's database.
func (r *run) relay(ctx context.Context, s *subject) (*process, error) {
	p, err := r.start(ctx, []string{
		"WAYBILL_DATABASE_URL=" + s.DSN,
		"WAYBILL_MASTER_KEY=" + base64.StdEncoding.EncodeToString(masterKey),
		"WAYBILL_ALLOW_TARGETS=" + loopback[0].String() + "," + loopback[1].String(),
	}, RelayCommand)
	if err != nil {
		return nil, fmt.Errorf("start the relay: %w", err)
	}
	r.atEnd(p.stop)
	return p, nil
}

// relayHere runs the engine's relay in this process, as a backend would that issues commands itself.
func (r *run) relayHere(ctx context.Context, s *subject) (stop func() error, err error) {
	relay, err := s.engine.Relay()
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(running) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	r.atEnd(stop)
	return stop, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-tailBytes):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}
