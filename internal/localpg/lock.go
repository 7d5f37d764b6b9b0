package localpg

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// lock is an advisory lock on a file. The kernel drops it when its holder dies, no matter how.
type lock struct{ file *os.File }

func openLock(home *os.Root, name string, owner account) (*lock, error) {
	file, err := home.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := owner.own(home, name); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &lock{file}, nil
}

// acquire waits for the lock until ctx ends. The kind is syscall.LOCK_SH or syscall.LOCK_EX.
func (l *lock) acquire(ctx context.Context, kind int) error {
	return poll(ctx, func() (bool, error) { return l.try(kind) })
}

// try tells whether it got the lock. If not, a lock that was held before is lost.
func (l *lock) try(kind int) (bool, error) {
	for {
		switch err := syscall.Flock(int(l.file.Fd()), kind|syscall.LOCK_NB); {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, os.NewSyscallError("flock "+l.file.Name(), err)
		}
	}
}

// release cannot fail: the file is open.
func (l *lock) release() { _ = syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN) }

// close releases the lock by name: closing alone would not, while a child between fork and exec has a copy of the descriptor.
func (l *lock) close() error {
	l.release()
	return l.file.Close()
}

// poll calls done until it returns true or an error, or until ctx ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
