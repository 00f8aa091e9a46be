package bank

import (
	"slices"
	"strings"
	"unicode"
)

// Codes are the codes of customers, with which the numbers of their invoices begin.
type Codes struct {
	byForm  map[string][]string // as they are, by their letters and digits alone
	longest int
}

// NewCodes takes them in.
func NewCodes(codes []string) *Codes {
	c := &Codes{byForm: make(map[string][]string, len(codes))}
	for _, code := range codes {
		form := lettersAndDigits(code)
		c.byForm[form] = append(c.byForm[form], code)
		c.longest = max(c.longest, len(form))
	}
	return c
}

// lettersAndDigits is a code in the form in which it is looked for. Codes are ASCII.
func lettersAndDigits(code string) string {
	return strings.Map(func(r rune) rune {
		if r = unicode.ToUpper(r); isCode(r) {
			return r
		}
		return -1
	}, code)
}

func isCode(r rune) bool { return isDigit(r) || 'A' <= r && r <= 'Z' }

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// Found is a number that a text may have in it.
type Found struct {
	Number   string // as it would stand on the invoice
	from, to int    // where, in letters and digits of the text
	closed   bool   // without a blank within it
	exact    bool   // as it stands on the invoice
}

// sign is a letter or digit of a text.
type sign struct {
	r      rune
	before int  // signs that are none, between the one before and this
	blank  bool // one of them is a blank
	other  bool // one of them is neither a blank nor a dash: a number does not have it within
}

// minDigits is how many digits a number has at least: CODE-000001.
const minDigits = 6

// maxApart is how many signs may be written between two letters or digits of a number.
const maxApart = 3

// Find returns what may be a number of an invoice or a credit note: as people write it,
// in capitals or not, with blanks or dashes or without. Which are there, the database
// knows; then Choose tells which are meant.
func (c *Codes) Find(text string) []Found {
	signs := signsOf(text)
	var found []Found
	for start := range signs {
		begins := start == 0 || signs[start].before > 0
		if !begins && !creditorReference(signs, start) {
			continue
		}
		var form strings.Builder
		for at := start; at < len(signs) && at < start+c.longest; at++ {
			if at > start && !signs[at].within() {
				break
			}
			form.WriteRune(signs[at].r)
			for _, code := range c.byForm[form.String()] {
				found = append(found, digits(signs, start, at+1, code)...)
			}
		}
	}
	for i, f := range found {
		found[i].exact = strings.Contains(text, f.Number)
	}
	return found
}

func signsOf(text string) []sign {
	var signs []sign
	next := sign{}
	for _, r := range text {
		r = unicode.ToUpper(r)
		if isCode(r) {
			next.r = r
			signs = append(signs, next)
			next = sign{}
			continue
		}
		next.before++
		switch {
		case unicode.IsSpace(r):
			next.blank = true
		case unicode.Is(unicode.Pd, r), strings.ContainsRune("-._/\u2212\u00ad\u200b", r):
		default:
			next.other = true
		}
	}
	return signs
}

// within reports whether a sign can follow another of the same number.
func (s sign) within() bool { return s.before <= maxApart && !s.other }

// creditorReference reports whether the word that the sign stands in is a reference by
// ISO 11649 whose own part begins there: RF, two check digits, the number.
func creditorReference(signs []sign, start int) bool {
	if start < 4 || signs[start-4].r != 'R' || signs[start-3].r != 'F' || start > 4 && signs[start-4].before == 0 {
		return false
	}
	var word strings.Builder
	for _, s := range signs[start-4 : min(len(signs), start+21)] { // 25 at most
		if s.before > 0 && !s.within() {
			break
		}
		word.WriteRune(s.r)
		if word.Len() > 4 && checksOut(word.String()) {
			return true
		}
	}
	return false
}

// digits returns the numbers whose digits, behind a code, begin at a sign.
func digits(signs []sign, start, at int, code string) (found []Found) {
	between := "-"
	if at+1 < len(signs) && signs[at].r == 'C' && signs[at+1].r == 'N' && signs[at].within() && signs[at+1].within() {
		between, at = "-CN", at+2
	}
	var number strings.Builder
	for ; at < len(signs) && isDigit(signs[at].r) && signs[at].within(); at++ {
		number.WriteRune(signs[at].r)
		last := at+1 == len(signs) || signs[at+1].before > 0 || !isDigit(signs[at+1].r)
		// Zeros fill up to six digits, and not beyond.
		padded := number.Len() == minDigits || number.Len() > minDigits && number.String()[0] != '0'
		if number.Len() > 18 || number.Len() > minDigits && !padded {
			break
		}
		if last && padded {
			f := Found{Number: code + between + number.String(), from: start, to: at + 1, closed: true}
			for _, s := range signs[start+1 : at+1] {
				f.closed = f.closed && !s.blank
			}
			found = append(found, f)
		}
	}
	return found
}

// Choose tells, of numbers that were found and are there, which the text means, in their
// order. Where two lie over each other, the longer one is meant if it is written in one
// piece, or if it alone stands there as on the invoice; else nobody knows, and both are unclear.
func Choose(found []Found) (numbers, unclear []string) {
	slices.SortStableFunc(found, func(a, b Found) int { return a.from - b.from })
	for i, f := range found {
		doubt, covered := false, false
		for j, other := range found {
			if i == j || f.Number == other.Number || f.to <= other.from || other.to <= f.from {
				continue
			}
			switch {
			case f.exact && !other.exact && !other.longerThan(f), f.longerThan(other) && f.closed:
			case other.exact && !f.exact && !f.longerThan(other), other.longerThan(f) && other.closed:
				covered = true
			default:
				doubt = true
			}
		}
		switch {
		case covered:
		case doubt && !slices.Contains(unclear, f.Number):
			unclear = append(unclear, f.Number)
		case !doubt && !slices.Contains(numbers, f.Number):
			numbers = append(numbers, f.Number)
		}
	}
	return numbers, unclear
}

func (f Found) longerThan(other Found) bool { return f.to-f.from > other.to-other.from }
