// Package imports loads CSV files of customers, tariffs, flights and registers
// into the database.
//
//   - Load reads a file of one Kind, all of it or nothing.
//   - What is wrong with a file is said in the words of whoever wrote it, with file, line and column.
//   - csvFile is the file as CSV, whatever it holds; each kind has its columns and its rules in a file of its own.
package imports
