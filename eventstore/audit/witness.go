package audit

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Witnessed is what is written down of a seal outside of the database, so that it shows when seals are dropped or made anew.
type Witnessed struct {
	Number   int64     `json:"number"`
	Hash     string    `json:"hash"` // of the seal, in hexadecimal
	Events   int       `json:"events"`
	SealedAt time.Time `json:"sealedAt"`
}

// WriteWitness writes a line of JSON about a seal.
func WriteWitness(to io.Writer, s Seal) error {
	line, err := json.Marshal(Witnessed{s.Number, fmt.Sprintf("%x", s.Hash()), s.Events, s.SealedAt})
	if err != nil {
		return err
	}
	_, err = to.Write(append(line, '\n'))
	return err
}

// ReadWitness reads what [WriteWitness] wrote.
func ReadWitness(from io.Reader) (witness []Witnessed, err error) {
	lines := bufio.NewScanner(from)
	for number := 1; lines.Scan(); number++ {
		var w Witnessed
		err := json.Unmarshal(lines.Bytes(), &w)
		if hash, bad := hex.DecodeString(w.Hash); err != nil || bad != nil || len(hash) != 32 || w.Number < 1 {
			return nil, fmt.Errorf("line %d of the witness is not about a seal", number)
		}
		witness = append(witness, w)
	}
	return witness, lines.Err()
}
