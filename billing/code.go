package billing

import "strings"

const (
	// blanks stand around a code, or in it, and do not count: what Unicode has as white
	// space, and two that show nothing at all. The SQL functions clean_text and code_form
	// have the same.
	blanks = "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff"
	// hyphens are what people and their spreadsheets write for one.
	hyphens = "-\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
)

// CleanText returns text as it is kept: without the blanks around it, and nothing
// where it only says that there is nothing, as exports write it. NAN is Nadi's airport:
// only as programs write it does it say nothing.
func CleanText(text string) string {
	text = strings.Trim(text, blanks)
	switch upperASCII(text) {
	case "NA", "N/A", "N.A.", "#N/A", "#NA", "<NA>", "NULL", "(NULL)", "<NULL>", `\N`, "NONE", "NIL":
		return ""
	}
	if text == "NaN" || text == "nan" || strings.Trim(text, blanks+hyphens) == "" {
		return ""
	}
	return text
}

// CleanCountry is CleanText of the code of a country, where NA is Namibia.
func CleanCountry(text string) string {
	if code := strings.Trim(text, blanks); sameText(code, "NA") {
		return code
	}
	return CleanText(text)
}

// CodeForm returns the form in which codes and registrations are compared: G-OWN,
// gown and G OWN are one aircraft. The SQL function code_form returns the same.
func CodeForm(code string) string {
	if !strings.ContainsFunc(code, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) {
		return code
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(blanks, r) || strings.ContainsRune(hyphens, r) {
			return -1
		}
		return upper(r)
	}, code)
}

// SameCode reports whether two codes are one, however they are written.
func SameCode(a, b string) bool { return a == b || CodeForm(a) == CodeForm(b) }

// upperASCII changes no other letters, whose capitals are a matter of language and of
// Unicode's version.
func upperASCII(s string) string { return strings.Map(upper, s) }

func upper(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - 'a' + 'A'
	}
	return r
}
