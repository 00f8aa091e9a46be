// Package billing holds the rules by which flights become charges: it is pure,
// without I/O and without a clock of its own.
//
//   - Date and Calendar say which day a flight belongs to, when a customer's
//     period closes, and at which instant the run of a day happens.
//   - Tariff, TariffSet and Price say what a flight that has moved costs: which
//     tariffs apply, the quantity of each, the amount and the tax. Explain says
//     so of every tariff; Charge.Detail has the steps to an amount.
//   - Case is what a price is made from: the flight as its source has it, and what
//     the registers of aircraft, aircraft types and airports add.
//   - MinorUnits says how far an amount of a currency is rounded.
//   - Error says why a flight was not billed, for the jobs that retry or
//     cancel it and for the clerk who puts it right.
//
// Money and quantities are exact decimals. Every rounding is half away from
// zero, and an amount is rounded once.
package billing
