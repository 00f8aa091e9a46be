package einvoice

import (
	"strings"
	"unicode"
)

// clean returns a text as XML 1.0 can hold it: on one line, without control characters and
// what is no character. One of nothing else is "", which leaves its element out: the rules
// refuse empty ones.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), unicode.IsSpace(r), r == '\u2028', r == '\u2029':
			return ' '
		case r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef: // noncharacters
			return -1
		default:
			return r // what is not UTF-8 comes as U+FFFD
		}
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
