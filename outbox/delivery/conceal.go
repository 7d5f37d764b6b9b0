package delivery

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/waybill-dev/waybill/domain"
)

// conceal takes out of a receiver's answer what is personal in the item that it answers: answers are kept, and some receivers repeat what
// they were told.
func (s *states) conceal(text string, it *item) string {
	if text == "" || len(it.keys) == 0 {
		return text
	}
	o := &it.occurrence
	aggregate := s.aggregates[o.Stream.Aggregate]
	personal := append(aggregate.PersonalStrings(o.Before), aggregate.PersonalStrings(o.After)...)
	slices.Sort(personal)
	personal = slices.Compact(personal)
	slices.SortFunc(personal, func(a, b string) int { return len(b) - len(a) }) // a name may be a part of an address
	for _, value := range personal {
		if value == domain.Erased {
			continue
		}
		text = replaceWord(text, value)
		if quoted, _ := json.Marshal(value); string(quoted[1:len(quoted)-1]) != value {
			text = replaceWord(text, string(quoted[1:len(quoted)-1]))
		}
	}
	return text
}

// replaceWord replaces a value where it is not just a part of a longer word.
func replaceWord(text, value string) string {
	var b strings.Builder
	for from := 0; ; {
		i := strings.Index(text[from:], value)
		if i < 0 {
			b.WriteString(text[from:])
			return b.String()
		}
		i += from
		end := i + len(value)
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, size := utf8.DecodeRuneInString(text[end:])
		if letter(before) && letterAt(value, 0) || letter(after) && size > 0 && letterAt(value, len(value)) {
			_, size := utf8.DecodeRuneInString(text[i:])
			b.WriteString(text[from : i+size])
			from = i + size
			continue
		}
		b.WriteString(text[from:i])
		b.WriteString(domain.Erased)
		from = end
	}
}

func letter(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }

// letterAt says whether a value begins, or ends, with a letter.
func letterAt(value string, at int) bool {
	if at == 0 {
		r, _ := utf8.DecodeRuneInString(value)
		return letter(r)
	}
	r, _ := utf8.DecodeLastRuneInString(value)
	return letter(r)
}
