package imports

import "strings"

// A spreadsheet runs a cell that begins with one of these, the wide ones too.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// WriteCell returns text as a cell of a file that spreadsheets open: where they would run
// it as a formula, with a ' before it, which Load takes off again. A number is no formula.
func WriteCell(text string) string {
	if startsFormula(text) && !isDecimal(text) {
		return "'" + text
	}
	return text
}

// readCell returns the text of which WriteCell made a cell.
func readCell(cell string) string {
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
