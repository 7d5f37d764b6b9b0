package localpg

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	dataName     = "pg"          // the data directory in home
	locationName = "pg.location" // the file in Config.Dir that says where home is, if it is elsewhere
	socketName   = ".s.PGSQL.5432"

	// maxSocketPath is what the address of a Unix socket holds on macOS; Linux has four bytes more.
	maxSocketPath = 103
)

// elsewhere is where root's clusters lie if the server's user may not enter Config.Dir. It is a variable for the tests.
var elsewhere = []string{"/var/lib", "/var/tmp"}

// account is a user that the server runs as.
type account struct {
	uid, gid int
	name     string
	other    bool // it is not this process's own user, which then is root
}

// site is where a cluster lies, and whose it is.
type site struct {
	dir     string // Config.Dir, absolute and without symbolic links
	home    string // where the files are; the same unless account may not enter dir
	account account
}

// locate chooses the site of the cluster of dir. It makes the same choice in every process of the same user.
func locate(ctx context.Context, dir string) (site, error) {
	if dir == "" {
		return site{}, errors.New("the cluster has no directory")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return site{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return site{}, fmt.Errorf("create the cluster's directory: %w", err)
	}
	// Whatever way people reach the directory, the server has to have one name for it.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return site{}, err
	}
	if os.Geteuid() == 0 {
		return locateForRoot(ctx, dir)
	}
	s := site{dir: dir, home: dir, account: account{uid: os.Geteuid(), gid: os.Getegid()}}
	if owner, err := ownerOf(filepath.Join(dir, dataName)); err == nil && owner.uid != s.account.uid {
		return site{}, &OwnerError{Path: filepath.Join(dir, dataName), Owner: owner.name, Dir: dir}
	}
	return s, nil
}

func locateForRoot(ctx context.Context, dir string) (site, error) {
	sum := sha256.Sum256([]byte(dir))
	homes := []string{dir}
	for _, base := range elsewhere {
		homes = append(homes, filepath.Join(base, fmt.Sprintf("waybill-%x", sum[:6])))
	}
	for _, home := range homes {
		owner, err := ownerOf(filepath.Join(home, dataName))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return site{}, err
		case owner.uid == 0:
			return site{}, fmt.Errorf("%s belongs to root, as whom PostgreSQL does not run: give it to another user with chown -R",
				filepath.Join(home, dataName))
		}
		if err := owner.enter(ctx, home); err != nil {
			return site{}, fmt.Errorf("the data in %s belong to user %s, who may not enter that directory any more: %w", home, owner.name, err)
		}
		return site{dir: dir, home: home, account: owner}, nil
	}

	server, err := unprivileged()
	if err != nil {
		return site{}, err
	}
	if err := server.enter(ctx, "/"); err != nil {
		return site{}, fmt.Errorf("PostgreSQL does not run as root, and running it as user %s failed: %w", server.name, err)
	}
	if server.enter(ctx, dir) == nil {
		return site{dir: dir, home: dir, account: server}, nil
	}
	var errs []error
	for _, home := range homes[1:] {
		// The directory stays root's, who works in it; the server owns what is its own in there.
		err := secureDir(home, account{uid: 0, gid: 0}, 0o711)
		if err == nil {
			err = server.enter(ctx, home)
		}
		if err == nil {
			s := site{dir: dir, home: home, account: server}
			return s, s.leaveNote()
		}
		errs = append(errs, err)
	}
	return site{}, fmt.Errorf("found no directory for the cluster that user %s may enter: %w", server.name, errors.Join(errs...))
}

// leaveNote tells people who look into dir where the cluster is. The program does not read it, for dir may be somebody else's.
func (s site) leaveNote() error {
	dir, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	note := fmt.Sprintf("The PostgreSQL cluster of this directory lies in\n\n    %s\n\nas its server runs as user %s, who may not enter here.\n",
		s.home, s.account.name)
	return dir.WriteFile(locationName, []byte(note), 0o644)
}

// explain turns a refusal to open the files of the site into an [*OwnerError].
func (s site) explain(err error) error {
	if owner, lookErr := ownerOf(s.home); lookErr == nil && errors.Is(err, fs.ErrPermission) {
		return &OwnerError{Path: s.home, Owner: owner.name, Dir: s.home}
	}
	return err
}

// socketDir returns the directory for the server's socket, having made it: one in home, or a short one if that path is too long for
// the address of a socket.
func (s site) socketDir(ctx context.Context) (string, error) {
	sum := sha256.Sum256([]byte(s.home))
	short := fmt.Sprintf("waybill-%d-%x", s.account.uid, sum[:6])
	dirs := []string{filepath.Join(s.home, "run")}
	if runtimeDir := os.Getenv("XDG_RUNTIME_DIR"); runtimeDir != "" && !s.account.other {
		dirs = append(dirs, filepath.Join(runtimeDir, short))
	}
	dirs = append(dirs, filepath.Join(os.TempDir(), short), filepath.Join("/tmp", short))
	var errs []error
	for _, dir := range dirs {
		// To clients a comma separates hosts.
		if len(dir)+len("/"+socketName) > maxSocketPath || strings.Contains(dir, ",") || !filepath.IsAbs(dir) {
			continue
		}
		err := secureDir(dir, s.account, 0o700)
		if err == nil {
			err = s.account.enter(ctx, dir)
		}
		if err == nil {
			return dir, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// secureDir makes a directory, or sees that the one that exists is owner's or our own and nobody else can change it, or even look into
// it if mode is 0700. It does not follow a symbolic link that somebody has put there.
func secureDir(path string, owner account, mode fs.FileMode) error {
	err := os.Mkdir(path, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	switch {
	case !info.IsDir():
		return &UnsafeDirError{Path: path, Reason: "is not a directory"}
	case uid != owner.uid && uid != os.Geteuid():
		return &UnsafeDirError{Path: path, Reason: "belongs to somebody else"}
	case info.Mode().Perm()&^mode != 0:
		return &UnsafeDirError{Path: path, Reason: fmt.Sprintf("is open to others (mode %04o)", info.Mode().Perm())}
	}
	if info.Mode().Perm() != mode {
		if err := os.Chmod(path, mode); err != nil {
			return err
		}
	}
	if uid != owner.uid {
		return os.Lchown(path, owner.uid, owner.gid)
	}
	return nil
}

// unprivileged returns the user that the server runs as if we are root and there are no data yet.
func unprivileged() (account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return toAccount(u)
		}
	}
	return account{}, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody: create one of them")
}

func toAccount(u *user.User) (account, error) {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return account{}, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return account{}, err
	}
	return account{uid: uid, gid: gid, name: u.Username, other: uid != os.Geteuid()}, nil
}

// ownerOf returns the owner of a file. It does not follow symbolic links.
func ownerOf(path string) (account, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return account{}, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	if u, err := user.LookupId(strconv.Itoa(int(stat.Uid))); err == nil {
		return toAccount(u)
	}
	uid := int(stat.Uid)
	return account{uid: uid, gid: int(stat.Gid), name: strconv.Itoa(uid), other: uid != os.Geteuid()}, nil
}

// command prepares a program to be run as the account, in dir. It gets a session of its own, so that Ctrl-C in the terminal reaches us
// alone, and nothing of our environment that would change what PostgreSQL does.
func (a account) command(ctx context.Context, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return cmd
}

// enter fails if the account may not enter dir. It tries, as permission bits alone do not tell.
func (a account) enter(ctx context.Context, dir string) error {
	if !a.other {
		return nil
	}
	if err := a.command(ctx, dir, "/bin/sh", "-c", ":").Run(); err != nil {
		return fmt.Errorf("enter %s as user %s: %w", dir, a.name, err)
	}
	return nil
}

// own gives the account a file that we made. It does not follow symbolic links.
func (a account) own(home *os.Root, name string) error {
	if !a.other {
		return nil
	}
	return home.Lchown(name, a.uid, a.gid)
}
