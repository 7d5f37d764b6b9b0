package chaos

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// notes is a file of JSON lines. Each is written by one system call, so that what was noted outlives a kill -9.
type notes struct {
	mu   sync.Mutex
	file *os.File
}

func openNotes(path string) (*notes, error) {
	// A predecessor may have died in the midst of a line. It is ended here, and passed over by those who read.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err == nil && info.Size() > 0 {
		_, err = file.WriteString("\n")
		return &notes{file: file}, err
	}
	return &notes{file: file}, nil
}

// note writes a line down. Nobody can go on who cannot take notes.
func (n *notes) note(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := n.file.Write(append(line, '\n')); err != nil {
		panic(err)
	}
}

// readNotes reads all whole lines of a file; none where there is no file.
func readNotes[T any](path string) ([]T, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []T
	reader := bufio.NewReader(file)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var v T
		if len(bytes.TrimSpace(line)) > 0 && json.Unmarshal(line, &v) == nil {
			all = append(all, v)
		}
	}
}

// now is the machine's real clock, which all notes go by.
func now() int64 { return time.Now().UnixNano() }
