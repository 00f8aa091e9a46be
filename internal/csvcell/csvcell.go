// Package csvcell writes the cells of files that spreadsheets open, and reads them.
package csvcell

import "strings"

// A spreadsheet runs a cell that begins with one of these, the wide ones too.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// Write returns text as a cell of a file that spreadsheets open: where they would run
// it as a formula, with a ' before it, which Read takes off again. A number is no formula.
func Write(text string) string {
	if startsFormula(text) && !IsDecimal(text) {
		return "'" + text
	}
	return text
}

// Read returns the text of which Write made a cell.
func Read(cell string) string {
	if cell != "" && cell[0] == '\'' && startsFormula(cell) {
		return cell[1:]
	}
	return cell
}

// startsFormula reports whether text is a formula, if need be behind '.
func startsFormula(text string) bool {
	text = strings.TrimLeft(text, "'")
	return text != "" && strings.ContainsRune(formulaStarts, []rune(text[:min(len(text), 4)])[0])
}

// IsDecimal tells what Go and Postgres read alike, and at once: 1e999999999
// would be a number too.
func IsDecimal(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	whole, fraction, dot := strings.Cut(digits, ".")
	isDigits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	return len(s) <= 100 && whole != "" && isDigits(whole) && isDigits(fraction) && dot == (fraction != "")
}
