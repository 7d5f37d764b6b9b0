package domain

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"

	"github.com/google/uuid"
)

// Sealed is an event's data with its personal strings taken out: as it stands in the log.
//
// In the log it is one JSON object, the first member of which holds what was taken out, encrypted:
//
//	{"$personal":["<key>.<base64>",…],"orderId":"ord_1","email":"[erased]",…}
//
// So whoever reads it without the keys reads what is left once they are destroyed. Only encoding puts that member there, and no event type
// may have one of that name, so nothing that a user writes can look like it.
type Sealed struct {
	Parts  []SealedPart
	Masked json.RawMessage // the data with [Erased] in the place of each string that was taken out
}

// SealedPart is what belongs to one person, encrypted.
type SealedPart struct {
	Key        uuid.UUID
	Ciphertext []byte
}

const sealedMember = "$personal"

const uuidLength = 36

const sealedPrefix = `{"` + sealedMember + `":[`

var errSealedForm = errors.New("the member " + sealedMember + " is damaged, or a newer program wrote it")

// Encode gives the data as it stands in the log.
func (s Sealed) Encode() json.RawMessage {
	size := len(sealedPrefix) + len(s.Masked) + 1
	for _, p := range s.Parts {
		size += len(`"".,`) + uuidLength + base64.RawStdEncoding.EncodedLen(len(p.Ciphertext))
	}
	b := append(make([]byte, 0, size), sealedPrefix...)
	for i, p := range s.Parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, p.Key.String()...)
		b = append(b, '.')
		b = base64.RawStdEncoding.AppendEncode(b, p.Ciphertext)
		b = append(b, '"')
	}
	b = append(b, ']', ',')
	return append(b, s.Masked[1:]...)
}

// IsSealed says whether something was taken out of the data of an event.
func IsSealed(data json.RawMessage) bool { return bytes.HasPrefix(data, []byte(sealedPrefix)) }

// ParseSealed reads what [Sealed.Encode] wrote. ok is false for data that was stored as it is.
func ParseSealed(data json.RawMessage) (s Sealed, ok bool, err error) {
	if !IsSealed(data) {
		return Sealed{}, false, nil
	}
	list, behind, ok := bytes.Cut(data[len(sealedPrefix):], []byte("],"))
	for text := range bytes.SplitSeq(list, []byte{','}) {
		key, text, dotted := bytes.Cut(bytes.Trim(text, `"`), []byte{'.'})
		id, err := uuid.ParseBytes(key)
		ciphertext, encodingErr := base64.RawStdEncoding.AppendDecode(nil, text)
		if !ok || !dotted || err != nil || encodingErr != nil {
			return Sealed{}, true, errSealedForm
		}
		s.Parts = append(s.Parts, SealedPart{id, ciphertext})
	}
	s.Masked = append(json.RawMessage{'{'}, behind...)
	return s, true, nil
}

// Patch is what was taken out of an event's data for one person, and where it belongs.
type Patch []byte

// Mask takes personal fields out of data. groups says, for each field, the number of the patch that it goes to, counted from 0.
func Mask(data json.RawMessage, fields []PersonalField, groups []int) (masked json.RawMessage, patches []Patch) {
	patches = make([]Patch, slices.Max(groups)+1)
	size := 0
	for _, f := range fields {
		size += f.End - f.Start + 4
	}
	masked = make(json.RawMessage, 0, len(data)+len(fields)*len(erasedToken))
	done := 0
	for i, f := range fields {
		masked = append(masked, data[done:f.Start]...)
		token := data[f.Start:f.End]
		p := patches[groups[i]]
		if p == nil {
			p = make(Patch, 0, size)
		}
		p = binary.AppendUvarint(p, uint64(len(masked)))
		p = binary.AppendUvarint(p, uint64(len(token)))
		patches[groups[i]] = append(p, token...)
		masked = append(masked, erasedToken...)
		done = f.End
	}
	return append(masked, data[done:]...), patches
}

const erasedToken = `"` + Erased + `"`

var errPatch = errors.New("what is sealed does not fit the rest of the event")

// Unmask puts back what [Mask] took out, or that part of it which there are patches for: to the byte.
func Unmask(masked json.RawMessage, patches []Patch) (json.RawMessage, error) {
	type piece struct {
		at    int
		token []byte
	}
	var pieces []piece
	size := len(masked)
	for _, p := range patches {
		for len(p) > 0 {
			at, n := binary.Uvarint(p)
			if n <= 0 {
				return nil, errPatch
			}
			p = p[n:]
			length, n := binary.Uvarint(p)
			if n <= 0 || length > uint64(len(p)-n) || at > uint64(len(masked)) || !bytes.HasPrefix(masked[at:], []byte(erasedToken)) {
				return nil, errPatch
			}
			pieces = append(pieces, piece{int(at), p[n : n+int(length)]})
			size += int(length)
			p = p[n+int(length):]
		}
	}
	slices.SortFunc(pieces, func(a, b piece) int { return a.at - b.at })
	data := make(json.RawMessage, 0, size)
	done := 0
	for _, p := range pieces {
		if p.at < done {
			return nil, errPatch
		}
		data = append(append(data, masked[done:p.at]...), p.token...)
		done = p.at + len(erasedToken)
	}
	return append(data, masked[done:]...), nil
}

// Stored is the event's data as it stands in the log, which is what its hash covers.
func (r *Recorded) Stored() json.RawMessage {
	if r.Sealed != nil {
		return r.Sealed
	}
	return r.Data
}

// Keys are the keys with which parts of the event are sealed.
func (r *Recorded) Keys() []uuid.UUID {
	data := r.Stored()
	if !IsSealed(data) {
		return nil
	}
	list, _, _ := bytes.Cut(data[len(sealedPrefix):], []byte("],"))
	var keys []uuid.UUID
	for len(list) > 1+uuidLength {
		if key, err := uuid.ParseBytes(list[1 : 1+uuidLength]); err == nil {
			keys = append(keys, key)
		}
		_, list, _ = bytes.Cut(list, []byte{','})
	}
	return keys
}

// Erase shows the event as it is to whoever has no keys.
func (r *Recorded) Erase() error {
	s, ok, err := ParseSealed(r.Stored())
	if ok && err == nil {
		r.Data, r.Sealed, r.Opened = s.Masked, r.Stored(), nil
	}
	return err
}
