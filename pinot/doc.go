// Package pinot is the flight source that reads flights from Apache Pinot.
//
// It has these duties:
//
//   - Ask for flights with one SELECT, however many, and for fewer where that does not
//     tell of each: columns by name in a fixed order, ids as escaped literals, an
//     explicit LIMIT.
//   - Serve an existing table as it is: PINOT_COLUMNS maps any column to a Pinot
//     SQL expression, or away; PINOT_FACTS adds facts with names of their own.
//   - Read what came to be a column later only where the table has it, which is looked
//     up once, so that a table without it stays as good as it was.
//   - Believe only an answer that Pinot vouches for. Pinot reports most failures
//     with HTTP status 200, and some of them look like "no such flight"; each
//     becomes a billing error of kind Outage, never an unknown flight.
//   - Read values exactly: numbers from their JSON text, never through a float,
//     instants as epoch milliseconds, Pinot's stand-ins for absent values as
//     absent.
//   - Tell what a setting is at fault for, a ConfigError that names it, from what
//     passes; and what is wrong with a column from what is wrong with a row.
//   - Try the other brokers when one fails, and learn them from the controller
//     where that is how Pinot is found; each with the same credentials.
//   - Ask no more often than Pinot's quota allows.
//   - List the ids of the flights of a time, page by page, in their order.
//   - Say what it reads and what is missing, before anything is billed: Report.
//
// # What counts as absent
//
// Pinot stores a stand-in where a value is missing. These read as absent facts:
// text that is empty, blank or "null" in any case (UPPER makes it "NULL"); a
// number that is -2147483648, -9223372036854775808 or less, "-Infinity" or
// "NaN"; an instant at or before 1970-01-01T00:00:00Z; JSON null; a 0, but for the
// columns that PINOT_ZERO_IS_A_FACT names.
//
// A stand-in that goes through arithmetic may be one no longer: where mtow_lb is
// an INT dimension, map with CASE WHEN mtow_lb < 0 THEN 0 ELSE mtow_lb*0.45359237
// END.
//
// # Fractions
//
// A mass is rounded to the nearest kg, half away from zero: certified masses are
// whole kilograms, and fractions come from unit conversion (165347 lb × 0.45359237
// = 75000.14 kg, which is 75 t and not the start of the 76th). A count of
// passengers that is not whole is refused.
package pinot
