#!/usr/bin/env python3
"""Recompute every invoice of a data set from scratch and compare it with the database.

This is an auditor, not a part of the service: it shares no code with it. It reads the same three CSV files
that were imported (flights, customers, tariffs), applies the rules of the design ("Data", "Billing calendar",
"Prices") on its own, and so knows what each customer's invoices must be. With --database it reads what flightbill
saved (read-only, one snapshot, through psql) and reports every number that differs, to the cent.

    recompute.py --flights F.csv.gz --customers C.csv --tariffs T.csv --timezone UTC --close period_end \\
                 --start 2013-01-01 --last-run 2014-01-31 --summary
    recompute.py ... --database URL [--assume-mass KG] [--late-flights FILE] [--cutoffs FILE.csv]
    recompute.py --self-test

What it takes for granted: every landed flight was enqueued; all but the --late-flights were saved before the run
of their period; hold, frequency and terms of a customer did not change along the way. Flights whose period
closed before --start count as late from the beginning.

--cutoffs FILE.csv (flight_id,cutoff) says what no rule can: the last closing date run when a flight was saved, as a
witness other than flightbill recorded it. From it follows which flights are late, and for which period.

--assume-mass KG prices landed flights that have no mass with this mass: all of them, or, with --late-flights, the
listed ones only (the others stay refused). --late-flights FILE names flights, one a line, that were saved after the
run of --last-run: they belong on the customer's first draft after its closing date, marked late. A listed flight
whose own period is still open, or whose customer is billed per flight, misses no run and is not marked late.

Voids, re-billing and corrections are followed line by line: a voided invoice has one credit note with the negative of
each of its lines; what a flight has on all its documents together must be its price. That of a flight that was billed
again or corrected is made from the files as they are now: --flights-now, --customers-now, --tariffs-now, where they are
not those of its first billing. A flight that was voided and not billed again must come to nothing.

All arithmetic is on integers and fractions; roots and powers are rounded by comparing integer powers, never by an
approximation. Exit status: 0 all agrees, 1 differences (or the database could not be read), 2 wrong usage.
"""

import argparse
import calendar
import collections
import csv
import datetime as dt
import decimal
import functools
import gzip
import io
import json
import math
import os
import re
import subprocess
import sys
import zoneinfo
from fractions import Fraction

ONE_DAY = dt.timedelta(days=1)
SHOWN = 20  # differences printed

# ISO 4217 minor units that are not 2.
MINOR_UNITS = {c: 0 for c in "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()}
MINOR_UNITS.update({c: 3 for c in "BHD IQD JOD KWD LYD OMR TND".split()})
MINOR_UNITS.update({"CLF": 4, "UYW": 4})


# ---------------------------------------------------------------------------------------------------- arithmetic

def round_units(x):
    """Nearest integer of a Fraction, halves away from zero."""
    n = (2 * abs(x.numerator) + x.denominator) // (2 * x.denominator)
    return n if x >= 0 else -n


def round_to(x, places):
    return Fraction(round_units(Fraction(x) * 10 ** places), 10 ** places)


def round_money(x, currency):
    return round_to(x, MINOR_UNITS.get(currency, 2))


def ceil_tonnes(kg):
    return -(-kg // 1000)


@functools.lru_cache(maxsize=None)
def route_weight(kg):
    """sqrt(t to 1 decimal / 50) to 2 decimals.

    With t = n/10, 100 x sqrt(n/500) = sqrt(20 n); nearest integer r of sqrt(N) is (isqrt(4N) + 1) // 2. A tie cannot
    occur: it would need 4N to be an odd square.
    """
    n = round_units(Fraction(kg, 100))
    return Fraction((math.isqrt(80 * n) + 1) // 2, 100)


@functools.lru_cache(maxsize=None)
def terminal_weight(kg):
    """(t / 50)^0.7 to 2 decimals: the greatest q/100 with q - 1/2 <= 100 x (kg / 50000)^0.7.

    Both sides to the tenth power and free of denominators:
    (2q - 1)^10 x 50000^7 <= kg^7 x 200^10.
    """
    if kg <= 0:
        return Fraction(0)
    right, scale = kg ** 7 * 200 ** 10, 50000 ** 7
    low, high = 0, 1  # low fits, high does not
    while (2 * high - 1) ** 10 * scale <= right:
        low, high = high, 2 * high
    while high - low > 1:
        mid = (low + high) // 2
        if (2 * mid - 1) ** 10 * scale <= right:
            low = mid
        else:
            high = mid
    return Fraction(low, 100)


def route_distance(km):
    return max(round_to((km - 40) / 100, 2), Fraction(0))


def show(x, places=2):
    """An exact Fraction as a decimal text with at least `places` decimals (never rounded)."""
    if x is None:
        return "null"
    while (x * 10 ** places).denominator != 1:
        places += 1
        if places > 40:
            return str(x)
    units = int(x * 10 ** places)
    text = str(abs(units)).rjust(places + 1, "0")
    text = text[:-places] + "." + text[-places:] if places else text
    return ("-" if units < 0 else "") + text


def show_money(x, currency):
    return show(x, MINOR_UNITS.get(currency, 2))


# --------------------------------------------------------------------------------------------------------- input

Customer = collections.namedtuple("Customer", "code frequency week_ends_on terms held")
Tariff = collections.namedtuple(
    "Tariff", "row code basis customer airport applies_to band_from band_to rate minimum currency tax_rate start end")
Line = collections.namedtuple("Line", "code quantity unit_rate amount tax_rate tax_amount currency")
# One flight that must be billed. closes_on is None for customers billed per flight.
Billed = collections.namedtuple("Billed", "customer closes_on landed_on late lines")

LINE_OF_TARIFF = {}  # (flight lines are plain) Line -> rows of the tariffs file that can make it


class Refused(Exception):
    """A flight that must not be billed, with the reason in a few words."""


def open_text(path):
    with open(path, "rb") as f:
        zipped = f.read(2) == b"\x1f\x8b"
    if zipped:
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8-sig", newline="")
    return open(path, encoding="utf-8-sig", newline="")


NOTHING = {"NA", "N/A", "N.A.", "#N/A", "#NA", "<NA>", "NULL", "(NULL)", "<NULL>", r"\N", "NONE", "NIL"}


def clean(text):
    """Text without the blanks around it; nothing where it only says that there is nothing."""
    text = text.strip()
    return "" if text.upper() in NOTHING or text in ("NaN", "nan") or not text.strip("- ") else text


def form(code):
    """The form in which codes and registrations are compared."""
    return re.sub(r"[\s-]", "", code.upper())


def cell(row, name):
    return clean(row.get(name) or "")


def fraction_or(text, default=None):
    return Fraction(text) if text else default


def load_customers(path):
    customers, by_operator, by_aircraft = {}, {}, {}
    with open_text(path) as f:
        for row in csv.DictReader(f):
            code = cell(row, "code")
            week = cell(row, "week_ends_on")
            customer = Customer(code, cell(row, "billing_frequency"), int(week) if week else None,
                                int(cell(row, "payment_terms_days")),
                                cell(row, "billing_hold").lower() in ("true", "t", "yes", "1"))
            if customer.frequency not in ("per_flight", "weekly", "monthly"):
                raise ValueError(f"{path}: {code}: unknown billing frequency {customer.frequency!r}")
            if (customer.frequency == "weekly") != (week != ""):
                raise ValueError(f"{path}: {code}: week_ends_on is for weekly customers, and needed there")
            if code in customers:
                raise ValueError(f"{path}: customer {code} is there twice")
            customers[code] = customer
            for column, index in (("operators", by_operator), ("aircraft", by_aircraft)):
                for word in cell(row, column).split():
                    held, _, days = word.partition("@")
                    start, _, end = days.partition("..")
                    index.setdefault(form(held), []).append((
                        dt.date.fromisoformat(start) if start else dt.date.min, dt.date.fromisoformat(end) if end else dt.date.max, customer))
    for index in (by_operator, by_aircraft):
        for held, spells in index.items():
            spells[:] = sorted(set(spells), key=lambda spell: spell[0])
            if any(earlier[1] > later[0] for earlier, later in zip(spells, spells[1:])):
                raise ValueError(f"{path}: {held} belongs to two customers on one day")
    return customers, by_operator, by_aircraft


def payer(index, code, day):
    return next((customer for start, end, customer in index.get(form(code), ()) if code and start <= day < end), None)


def load_tariffs(path):
    tariffs = []
    with open_text(path) as f:
        for number, row in enumerate(csv.DictReader(f), 2):
            end = cell(row, "valid_to")
            tariffs.append(Tariff(
                number, cell(row, "code"), cell(row, "basis"), cell(row, "customer"), cell(row, "airport"),
                cell(row, "applies_to"), fraction_or(cell(row, "band_from")), fraction_or(cell(row, "band_to")),
                Fraction(cell(row, "unit_rate")), fraction_or(cell(row, "minimum")), cell(row, "currency"),
                fraction_or(cell(row, "tax_rate"), Fraction(0)), dt.date.fromisoformat(cell(row, "valid_from")),
                dt.date.fromisoformat(end) if end else None))
            t = tariffs[-1]
            if t.basis not in ("per_flight", "per_tonne", "per_km", "per_passenger", "route", "terminal"):
                raise ValueError(f"{path}:{number}: unknown basis {t.basis!r}")
            if t.applies_to not in ("departure", "arrival", "any"):
                raise ValueError(f"{path}:{number}: unknown applies_to {t.applies_to!r}")
    return tariffs


def instant(text):
    moment = dt.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    if moment.tzinfo is None:
        raise ValueError(f"{text}: an instant without a zone")
    return moment


# ------------------------------------------------------------------------------------------------------ calendar

class BillingCalendar:
    """Which closing date a flight belongs to, and which closing dates have been run."""

    def __init__(self, close, start, last_run):
        self.inclusive = close == "next_day"  # the closing date's own flights are in the period
        lag = ONE_DAY if self.inclusive else dt.timedelta(0)
        # The run of date R closes R (period_end) or R - 1 (next_day). Before the first run all earlier dates count as run.
        self.first_cutoff = start - lag - ONE_DAY
        self.cutoff = max(self.first_cutoff, last_run - lag)
        self._next = functools.lru_cache(maxsize=None)(self._closing_on_or_after)

    @staticmethod
    def _closing_on_or_after(frequency, week_ends_on, day):
        if frequency == "weekly":
            return day + dt.timedelta(days=(week_ends_on - day.isoweekday()) % 7)
        return day.replace(day=calendar.monthrange(day.year, day.month)[1])

    def own_closing(self, customer, landed_on):
        day = landed_on if self.inclusive else landed_on + ONE_DAY
        return self._next(customer.frequency, customer.week_ends_on, day)

    def place(self, customer, landed_on, saved_after_last_run, cutoff=None):
        """(closing date or None, late) of a flight; cutoff, where it is known, is that of its save."""
        if customer.frequency == "per_flight":
            return None, False
        if cutoff is None:
            cutoff = self.cutoff if saved_after_last_run else self.first_cutoff
        closing = self.own_closing(customer, landed_on)
        if closing > cutoff:
            return closing, False
        return self._next(customer.frequency, customer.week_ends_on, cutoff + ONE_DAY), True

    def is_issued(self, customer, closes_on):
        return not customer.held and (closes_on is None or closes_on <= self.cutoff)


# -------------------------------------------------------------------------------------------------------- prices

class PriceList:
    def __init__(self, tariffs):
        self.tariffs = tariffs
        self._somewhere = {}
        self._lines = {}

    def _for_route(self, customer, origin, destination):
        key = customer, origin, destination
        if key not in self._somewhere:
            ends = {"departure": (origin,), "arrival": (destination,), "any": (origin, destination)}
            self._somewhere[key] = [t for t in self.tariffs if t.customer in ("", customer)
                                    and (not t.airport or form(t.airport) in ends[t.applies_to])]
        return self._somewhere[key]

    def charges(self, customer, origin, destination, landed_on, kg, km, passengers):
        """The sorted Lines of a flight; raises Refused."""
        applying, unsure = [], []
        for t in self._for_route(customer, origin, destination):
            if t.start <= landed_on and (t.end is None or landed_on < t.end):
                inside = self._in_band(t, kg)
                if inside is None:
                    unsure.append(t)
                elif inside:
                    applying.append(t)
        own = {form(t.code) for t in applying if t.customer}
        applying = [t for t in applying if t.customer or form(t.code) not in own]
        unsure = [t for t in unsure if t.customer or form(t.code) not in own]
        if not applying and not unsure:
            raise Refused("no tariff applies")
        if unsure:
            raise Refused("mass missing")
        lines = []
        for t in applying:
            line = self._line(t, kg, km, passengers)
            if line is not None:
                lines.append(line)
        lines.sort()
        return tuple(lines)

    @staticmethod
    def _in_band(t, kg):
        """True, False, or None where the mass that would tell is missing."""
        if t.basis == "per_tonne" or (not t.band_from and t.band_to is None):
            return True
        if kg is None:
            return None
        tonnes = ceil_tonnes(kg)
        return (t.band_from or 0) < tonnes and (t.band_to is None or tonnes <= t.band_to)

    def _line(self, t, kg, km, passengers):
        key = (t.row, kg if t.basis in ("per_tonne", "route", "terminal") else None,
               km if t.basis in ("per_km", "route") else None, passengers if t.basis == "per_passenger" else None)
        if key not in self._lines:
            self._lines[key] = self._new_line(t, kg, km, passengers)
        return self._lines[key]

    @staticmethod
    def _new_line(t, kg, km, passengers):
        if kg is None and t.basis in ("per_tonne", "route", "terminal"):
            raise Refused("mass missing")
        if km is None and t.basis in ("per_km", "route"):
            raise Refused("distance missing")
        if passengers is None and t.basis == "per_passenger":
            raise Refused("passengers missing")
        if t.basis == "per_flight":
            quantity = Fraction(1)
        elif t.basis == "per_tonne":
            tonnes = Fraction(ceil_tonnes(kg))
            top = tonnes if t.band_to is None else min(tonnes, t.band_to)
            quantity = max(top - (t.band_from or 0), Fraction(0))
        elif t.basis == "per_km":
            quantity = km
        elif t.basis == "per_passenger":
            quantity = Fraction(passengers)
        elif t.basis == "route":
            quantity = route_distance(km) * route_weight(kg)
        else:
            quantity = terminal_weight(kg)
        if quantity == 0:
            return None
        exact = quantity * t.rate
        if t.minimum is not None:
            exact = max(exact, t.minimum)
        amount = round_money(exact, t.currency)
        line = Line(t.code, quantity, t.rate, amount, t.tax_rate, round_money(amount * t.tax_rate, t.currency), t.currency)
        LINE_OF_TARIFF.setdefault(line, set()).add(t.row)
        return line


# ---------------------------------------------------------------------------------------------- what must be there

class Expected:
    """Everything that must be in the database: flights by id, and the sums of the invoices."""

    def __init__(self):
        self.customers = {}
        self.flights = {}         # flight id -> Billed
        self.unbilled = {}        # flight id -> reason
        self.count = collections.Counter()
        self.reasons = collections.Counter()

    def compute(self, args, zone, billing_calendar, suffix=""):
        def file(name):
            return getattr(args, name + suffix) or getattr(args, name)

        self.calendar = billing_calendar
        self.customers, by_operator, by_aircraft = load_customers(file("customers"))
        prices = PriceList(load_tariffs(file("tariffs")))
        late_ids = None
        if args.late_flights:
            with open_text(args.late_flights) as f:
                late_ids = {line.strip() for line in f if line.strip()}
        cutoffs = {}
        if args.cutoffs:
            with open_text(args.cutoffs) as f:
                cutoffs = {row["flight_id"]: dt.date.fromisoformat(row["cutoff"]) for row in csv.DictReader(f)}
        kilometres = functools.lru_cache(maxsize=None)(Fraction)
        seen = {}
        with open_text(file("flights")) as f:
            rows = csv.reader(f)
            header = [h.strip() for h in next(rows)]
            at = {name: i for i, name in enumerate(header)}
            missing = {"flight_id", "operator", "origin", "destination", "landed_at"} - at.keys()
            if missing:
                raise ValueError(f"{args.flights}: no column {', '.join(sorted(missing))}")
            nothing = len(header)  # the index of an absent column: an empty cell added to each row
            index = [at.get(name, nothing) for name in (
                "flight_id", "operator", "registration", "mtow_kg", "origin", "destination", "departed_at", "landed_at",
                "distance_km", "passengers")]
            for row in rows:
                if not row:
                    continue
                if len(row) != nothing:
                    raise ValueError(f"{args.flights}:{rows.line_num}: {len(row)} cells, the header has {nothing}")
                row.append("")
                (flight_id, operator, registration, mass, origin, destination, departed, landed, distance,
                 passengers) = [clean(row[i]) for i in index]
                fingerprint = hash(tuple(row))
                if flight_id in seen:
                    if seen[flight_id] != fingerprint:
                        self.flights.pop(flight_id, None)
                        self.unbilled[flight_id] = "two different flights under one id"
                    continue
                seen[flight_id] = fingerprint
                is_late = late_ids is not None and flight_id in late_ids
                if not landed:
                    self.unbilled[flight_id] = "not landed"
                    continue
                try:
                    moment = instant(landed)
                    landed_on = moment.astimezone(zone).date()
                    customer = payer(by_aircraft, registration, landed_on) or payer(by_operator, operator, landed_on)
                    if customer is None:
                        raise Refused("no customer")
                    kg = int(mass) if mass else None
                    if kg is None and args.assume_mass is not None and (late_ids is None or is_late):
                        kg = args.assume_mass
                    km = kilometres(distance) if distance else None
                    people = int(passengers) if passengers else None
                    lines = prices.charges(customer.code, form(origin), form(destination), landed_on, kg, km, people)
                    if any(x is not None and x < 0 for x in (kg, km, people)):
                        raise Refused("a negative fact")
                    if departed and instant(departed) > moment:
                        raise Refused("landed before take-off")
                except Refused as why:
                    self.unbilled[flight_id] = str(why)
                    continue
                closes_on, late = billing_calendar.place(customer, landed_on, is_late, cutoffs.get(flight_id))
                self.flights[flight_id] = Billed(customer.code, closes_on, landed_on, late, lines)
        self.reasons.update(self.unbilled.values())
        waiting = self.reasons.pop("not landed", 0)
        self.count.update(flights=len(seen), landed=len(seen) - waiting, waiting=waiting,
                          refused_no_mass=self.reasons.pop("mass missing", 0), billed=len(self.flights),
                          charges=sum(len(b.lines) for b in self.flights.values()),
                          late=sum(b.late for b in self.flights.values()))
        if late_ids is not None:
            lost = sorted(i for i in late_ids if i not in self.flights)
            if lost:
                print(f"note: {len(lost)} of the late flights are not to be billed, as {lost[0]}: "
                      f"{self.unbilled.get(lost[0], 'not in the flights file')}", file=sys.stderr)
        self._add_up()

    def _add_up(self):
        """invoices: (customer, kind, closing, currency) -> Sums, per flight: the same with every flight's invoice in it."""
        self.invoices = {}
        for flight_id, billed in self.flights.items():
            kind = "flight" if billed.closes_on is None else "consolidated"
            for currency in {line.currency for line in billed.lines}:
                key = billed.customer, kind, billed.closes_on, currency
                sums = self.invoices.get(key)
                if sums is None:
                    sums = self.invoices[key] = Sums(currency)
                sums.flights += 1
                sums.invoices = sums.flights if kind == "flight" else 1
                for line in billed.lines:
                    if line.currency == currency:
                        sums.add(line, flight_id if kind == "flight" else billed.closes_on)

    def grand_total(self):
        totals = collections.Counter()
        for (_, _, _, currency), sums in self.invoices.items():
            totals[currency] += sums.total
        return {c: show_money(t, c) for c, t in sorted(totals.items())}

    def status(self, key):
        return "issued" if self.calendar.is_issued(self.customers[key[0]], key[2]) else "draft"

    def summary(self):
        by_customer = {}
        closings = []
        order = sorted(self.invoices, key=lambda k: (k[0], k[2] or dt.date.min, k[3]))
        for key in order:
            code, kind, closes_on, currency = key
            sums = self.invoices[key]
            closings.append({
                "customer": code, "kind": kind, "closes_on": closes_on and closes_on.isoformat(), "currency": currency,
                "status": self.status(key), "invoices": sums.invoices, "flights": sums.flights, "charges": sums.charges,
                "subtotal": show_money(sums.subtotal, currency), "tax": show_money(sums.tax, currency),
                "total": show_money(sums.total, currency)})
            whole = by_customer.setdefault((code, currency), {"issued": 0, "draft": 0, "sums": Sums(currency)})
            whole[self.status(key)] += sums.invoices
            whole["sums"].take(sums)
        result = dict(self.count)
        result["refused_otherwise"] = dict(self.reasons)
        result["invoices"] = sum(s.invoices for s in self.invoices.values())
        result["issued"] = sum(w["issued"] for w in by_customer.values())
        result["drafts"] = sum(w["draft"] for w in by_customer.values())
        result["customers"] = [
            {"customer": code, "frequency": self.customers[code].frequency, "currency": currency,
             "issued": w["issued"], "drafts": w["draft"], "flights": w["sums"].flights, "charges": w["sums"].charges,
             "subtotal": show_money(w["sums"].subtotal, currency), "tax": show_money(w["sums"].tax, currency),
             "total": show_money(w["sums"].total, currency)} for (code, currency), w in sorted(by_customer.items())]
        result["closings"] = closings
        result["grand_total"] = self.grand_total()
        return result


class Sums:
    """What invoices of one currency come to. Tax is that of each invoice's sum for a category and rate, rounded once;
    with --tax-by line, the sum of the lines' own."""
    __slots__ = ("currency", "flights", "invoices", "charges", "subtotal", "groups")
    tax_by = "invoice"

    def __init__(self, currency):
        self.currency = currency
        self.flights = self.invoices = self.charges = 0
        self.subtotal = Fraction(0)
        self.groups = {}  # invoice, category, rate -> amount, the lines' taxes

    def add(self, line, invoice, category="standard"):
        self.charges += 1
        self.subtotal += line.amount
        amount, taxes = self.groups.get((invoice, category, line.tax_rate), (0, 0))
        self.groups[invoice, category, line.tax_rate] = amount + line.amount, taxes + line.tax_amount

    def take(self, other):
        """Of other invoices."""
        for name in ("flights", "invoices", "charges", "subtotal"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.groups.update(other.groups)

    def taxes(self):
        """(category, rate) -> base, tax: of one invoice."""
        return {(category, rate): (amount, self._tax(rate, amount, taxes)) for (_, category, rate), (amount, taxes) in self.groups.items()}

    def _tax(self, rate, amount, taxes):
        return taxes if self.tax_by == "line" else round_money(amount * rate, self.currency)

    @property
    def tax(self):
        return sum((self._tax(rate, *sums) for (_, _, rate), sums in self.groups.items()), Fraction(0))

    @property
    def total(self):
        return self.subtotal + self.tax


# ------------------------------------------------------------------------------------------------- the comparison

QUERIES = (
    "SELECT 'customer', id, code, billing_frequency, week_ends_on, payment_terms_days, invoice_seq, credit_note_seq FROM flightbill.customers",
    "SELECT 'invoice', id, number, customer_id, kind, to_char(closes_on, 'YYYY-MM-DD'), currency, status, subtotal, tax,"
    " total, extract(epoch FROM issued_at), to_char(due_on, 'YYYY-MM-DD'), credits_invoice_id, reason, outside_scope FROM flightbill.invoices",
    "SELECT 'flight', flight_id, customer_id, to_char(landed_on, 'YYYY-MM-DD'), revision FROM flightbill.billed_flights",
    "SELECT 'tax', invoice_id, category, rate, base, tax FROM flightbill.invoice_taxes",
    "SELECT 'void', flight_id, credit_note_id, currency, rebilled_at IS NOT NULL FROM flightbill.voided_flights",
    "SELECT 'interest', id, invoice_id, interest_on, interest_through, code, quantity, unit_rate, amount, tax_rate, tax_amount"
    " FROM flightbill.charges WHERE flight_id IS NULL",
    # Sorted so that one flight's charges come together; in which order the flights come does not matter.
    "SELECT 'charge', id, invoice_id, flight_id, tariff_id, code, quantity, unit_rate, amount, tax_rate, tax_amount,"
    " to_char(flown_on, 'YYYY-MM-DD'), late::int, coalesce(description, '') <> '', origin, tax_category FROM flightbill.charges"
    " WHERE flight_id IS NOT NULL ORDER BY flight_id, id",
)

Invoice = collections.namedtuple(
    "Invoice", "id number customer kind closes_on currency status subtotal tax total issued due_on credits reason outside")


def read_database(url):
    """Rows of QUERIES in their order, all from one read-only snapshot; the first cell says which table."""
    command = ["psql", "--csv", "-X", "-q", "-t", "-v", "ON_ERROR_STOP=1", "-v", "FETCH_COUNT=20000", "-d", url,
               "-c", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]
    for query in QUERIES:
        command += ["-c", query]
    command += ["-c", "SELECT 'end'", "-c", "COMMIT"]
    psql = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            env={**os.environ, "PGCLIENTENCODING": "UTF8"})
    ended = False
    try:
        with io.TextIOWrapper(psql.stdout, encoding="utf-8", newline="") as out:
            for row in csv.reader(out):
                if row == ["end"]:
                    ended = True
                elif row:
                    yield row
    except BaseException:
        psql.kill()
        raise
    finally:
        status = psql.wait()
    if status or not ended:
        raise RuntimeError(f"psql ended with status {status} before everything was read")


@functools.lru_cache(maxsize=None)
def exact(text):
    return Fraction(text) if text else None


@functools.lru_cache(maxsize=None)
def day(text):
    return dt.date.fromisoformat(text) if text else None


class Differences:
    """Counts them by kind, keeps the first of each kind."""

    def __init__(self):
        self.kinds = {}

    def add(self, kind, text):
        texts = self.kinds.setdefault(kind, [0, []])
        texts[0] += 1
        if texts[0] <= SHOWN:
            texts[1].append(text)

    def total(self):
        return sum(n for n, _ in self.kinds.values())

    def report(self, out):
        total = self.total()
        print(f"DIFFERENT: {total} differences", file=out)
        for kind, (number, _) in self.kinds.items():
            print(f"  {number:>9}  {kind}", file=out)
        # A few of every kind rather than twenty of the first one.
        queues = [(kind, list(texts)) for kind, (_, texts) in self.kinds.items()]
        chosen, depth = [], 0
        while len(chosen) < min(SHOWN, total) and any(len(t) > depth for _, t in queues):
            chosen += [(i, depth) for i, (_, t) in enumerate(queues) if len(t) > depth]
            depth += 1
        for i, depth in sorted(chosen[:SHOWN]):
            print(f"{queues[i][0]}: {queues[i][1][depth]}", file=out)
        if total > SHOWN:
            print(f"... and {total - min(SHOWN, len(chosen))} more", file=out)


def kind_of(invoice):
    """A credit note that stands for a period is that period's consolidated invoice."""
    return "consolidated" if invoice.closes_on else invoice.kind


def name_of(key):
    customer, kind, closes_on, currency = key
    return f"{customer} {kind} {closes_on or ''} {currency}".replace("  ", " ")


def show_line(line):
    return (f"{line.code} {show(line.quantity, 0)} x {show(line.unit_rate)} = {show_money(line.amount, line.currency)} "
            f"{line.currency}, tax {show(line.tax_rate)}: {show_money(line.tax_amount, line.currency)}")


class Comparison:
    def __init__(self, expected, zone, now=None):
        self.expected, self.zone = expected, zone
        self.now = now or expected    # what a flight that was billed again or corrected must come to
        self.differences = Differences()
        self.code_of = {}             # customers.id -> code
        self.seq = {}                 # code -> (invoice_seq, credit_note_seq)
        self.invoices = {}            # invoices.id -> Invoice
        self.sums = {}                # invoices.id -> Sums of its charges in the database
        self.first = {}               # invoices.id -> Sums of those from the first billing of a flight
        self.lines_of = collections.defaultdict(collections.Counter)  # of voided invoices and the notes that void them
        self.flights_on = collections.defaultdict(set)  # invoices.id, but of kind consolidated -> flight ids
        self.voids = collections.defaultdict(dict)      # flight id -> currency -> whether all of it was billed again
        self.voided_on = collections.defaultdict(set)   # credit note's id -> flight ids
        self.taxes = collections.defaultdict(dict)  # invoices.id -> (category, rate) -> base, tax
        self.voided = {}              # invoices.id -> ids of the credit notes that void it
        self.interest = set()         # ids of invoices that have interest on them
        self.again = 0                # lines of re-billings and corrections
        self.ledger = set()
        self.charged = set()
        self.tariff_row = {}          # tariffs.id -> row of the file it must be
        self.charges = 0

    def run(self, rows):
        group, group_id = [], None
        for row in rows:
            table = row[0]
            if table == "charge":
                if row[3] != group_id:
                    if group:
                        self.charges_of(group_id, group)
                    group, group_id = [], row[3]
                group.append(row)
            else:
                getattr(self, "read_" + table)(*row[1:])
        if group:
            self.charges_of(group_id, group)
        self.check_flights()
        self.check_invoices()
        self.check_numbers()
        return self.differences

    # -- rows as they come

    def read_customer(self, id_, code, frequency, week_ends_on, terms, seq, credit_note_seq):
        self.code_of[id_] = code
        self.seq[code] = int(seq), int(credit_note_seq)
        want = self.expected.customers.get(code)
        if want is None:
            return
        have = frequency, int(week_ends_on) if week_ends_on else None, int(terms)
        if have != (want.frequency, want.week_ends_on, want.terms):
            self.differences.add("customer", f"{code}: frequency, week end, terms are {have}, must be "
                                             f"{(want.frequency, want.week_ends_on, want.terms)}")

    def read_invoice(self, id_, number, customer, kind, closes_on, currency, status, subtotal, tax, total, issued, due_on,
                     credits, reason, outside="f"):
        issued_on = None
        if issued:
            moment = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(
                microseconds=int(decimal.Decimal(issued) * 1000000))
            issued_on = moment.astimezone(self.zone).date()
        self.invoices[id_] = Invoice(id_, number, self.code_of.get(customer, f"(id {customer})"), kind, day(closes_on),
                                     currency, status, exact(subtotal), exact(tax), exact(total), issued_on, day(due_on), credits, reason, outside)
        self.sums[id_], self.first[id_] = Sums(currency), Sums(currency)
        if credits:
            self.voided.setdefault(credits, []).append(id_)

    def read_tax(self, invoice, category, rate, base, tax):
        self.taxes[invoice][category, exact(rate)] = exact(base), exact(tax)

    def read_interest(self, id_, invoice_id, late_invoice, through, code, quantity, rate, amount, tax_rate, tax):
        """A line without a flight. How it came about only its detail says."""
        invoice = self.invoices[invoice_id]
        line = Line(code, exact(quantity), exact(rate), exact(amount), exact(tax_rate), exact(tax), invoice.currency)
        self.sums[invoice_id].add(line, invoice_id, "outside")
        self.interest.add(invoice_id)
        if invoice_id in self.voided or invoice.credits:
            self.lines_of[invoice_id]["", late_invoice, through, line] += 1
        late = self.invoices.get(late_invoice)
        if late is None or late.number == "" or (late.customer, late.currency) != (invoice.customer, invoice.currency):
            self.differences.add("interest", f"charge {id_}: on an invoice of another customer or currency, {late_invoice}")
        if line.tax_amount or line.tax_rate or line.amount != line.quantity * line.unit_rate or invoice.outside != "t":
            self.differences.add("interest", f"charge {id_}: {show(line.amount)}, tax {show(line.tax_amount)}; it is outside VAT")

    def read_void(self, flight_id, credit_note, currency, rebilled):
        self.voids[flight_id][currency] = self.voids[flight_id].get(currency, True) and rebilled == "t"
        self.voided_on[credit_note].add(flight_id)

    def read_flight(self, flight_id, customer, landed_on, revision):
        if flight_id in self.ledger:
            self.differences.add("flight billed twice", flight_id)
        self.ledger.add(flight_id)
        want = self.expected.flights.get(flight_id)
        if want is None:
            self.differences.add("flight billed without reason", f"{flight_id}: " + self.expected.unbilled.get(
                flight_id, "not in the flights file"))
            return
        have = self.code_of.get(customer, f"(id {customer})"), day(landed_on)
        now = self.now.flights.get(flight_id)
        if revision != "0" and now and have == (now.customer, now.landed_on):
            return
        if have != (want.customer, want.landed_on):
            self.differences.add("ledger", f"{flight_id}: {have[0]} landed {have[1]}, must be "
                                           f"{want.customer} landed {want.landed_on}")

    def charges_of(self, flight_id, rows):
        self.charged.add(flight_id)
        self.charges += len(rows)
        want = self.expected.flights.get(flight_id)
        found, ids, net, again = [], {}, {}, set()
        for (_, id_, invoice_id, _, tariff_id, code, quantity, rate, amount, tax_rate, tax, flown_on, late, described,
             origin, category) in rows:
            invoice = self.invoices.get(invoice_id)
            if invoice is None:
                self.differences.add("charge without an invoice", f"charge {id_} of {flight_id}")
                continue
            line = Line(code, exact(quantity), exact(rate), exact(amount), exact(tax_rate), exact(tax), invoice.currency)
            if None in line:
                self.differences.add("charge", f"charge {id_} of {flight_id}: a number is null")
                continue
            self.sums[invoice_id].add(line, invoice_id, category)
            if not invoice.closes_on:
                self.flights_on[invoice_id].add(flight_id)
            if invoice_id in self.voided or invoice.credits:
                self.lines_of[invoice_id][flight_id, tariff_id, flown_on, line] += 1
            key = invoice.customer, code, line.unit_rate, line.tax_rate, line.currency
            net[key] = tuple(map(sum, zip(net.get(key, (0, 0, 0)), (line.quantity, line.amount, line.tax_amount))))
            if described != "t":
                self.differences.add("charge", f"charge {id_} of {flight_id}: no description")
            if origin or invoice.credits:
                self.again_on(flight_id, invoice, id_, late, origin)
                again.add((origin or "void", line.currency))
                continue
            found.append(line)
            sums = self.first[invoice_id]
            sums.add(line, invoice_id, category)
            if ids.setdefault(invoice.currency, invoice_id) != invoice_id:
                self.differences.add("flight on two invoices", f"{flight_id}: invoices {ids[invoice.currency]}, {invoice_id}")
                sums.flights += 1
            elif sum(l.currency == line.currency for l in found) == 1:
                sums.flights += 1
            if want is None:
                continue
            kind = "flight" if want.closes_on is None else "consolidated"
            if (invoice.customer, kind_of(invoice), invoice.closes_on) != (want.customer, kind, want.closes_on):
                self.differences.add("charge on a wrong invoice", f"{flight_id} {code}: on " + name_of(
                    (invoice.customer, invoice.kind, invoice.closes_on, invoice.currency)) + ", must be on " + name_of(
                    (want.customer, kind, want.closes_on, invoice.currency)))
            if day(flown_on) != want.landed_on or late != ("1" if want.late else "0"):
                self.differences.add("charge", f"{flight_id} {code}: flown on {flown_on}, late {late}; must be "
                                               f"{want.landed_on}, {int(want.late)}")
            possible = LINE_OF_TARIFF.get(line, set())
            if len(possible) == 1:  # a tariff of the database is one row of the file
                row, = possible
                if self.tariff_row.setdefault(tariff_id, row) != row:
                    self.differences.add("tariff", f"{flight_id} {code}: tariff {tariff_id} stands for two lines of the "
                                                   f"tariffs file, {self.tariff_row[tariff_id]} and {row}")
        if want is None:
            if flight_id not in self.ledger:  # else it has been reported from the ledger
                self.differences.add("flight billed without reason", f"{flight_id}: " + self.expected.unbilled.get(
                    flight_id, "not in the flights file"))
            return
        found.sort()
        if tuple(found) != want.lines:
            have, must = collections.Counter(found), collections.Counter(want.lines)
            self.differences.add("price", f"{flight_id}: has [" + "; ".join(map(show_line, (have - must).elements()))
                                 + "], must have [" + "; ".join(map(show_line, (must - have).elements())) + "]")
        if again:
            self.check_net(flight_id, want, net, again)

    def again_on(self, flight_id, invoice, charge, late, origin):
        """A line that is not of a flight's first billing: of a void, a re-billing or a correction."""
        self.again += 1
        where = f"charge {charge} of {flight_id}"
        if bool(origin) == bool(invoice.credits):
            self.differences.add("charge", f"{where}: origin {origin or 'none'}, on a credit note for {invoice.credits or 'no invoice'}")
        if late != ("1" if origin else "0"):
            self.differences.add("charge", f"{where}: origin {origin or 'none'}, late {late}")
        customer = self.expected.customers.get(invoice.customer)
        if invoice.closes_on and customer and (invoice.status != "DRAFT") != self.expected.calendar.is_issued(
                customer, invoice.closes_on):
            key = invoice.customer, invoice.kind, invoice.closes_on, invoice.currency
            self.differences.add("charge on a wrong invoice", f"{where}: on {name_of(key)}, {invoice.status}")

    def check_net(self, flight_id, want, net, again):
        """All lines of a flight together must be its price, currency by currency."""
        now = self.now.flights.get(flight_id)
        have = {key: sums for key, sums in net.items() if any(sums)}
        must = {}
        corrected = any(origin == "correction" for origin, _ in again)
        first = {line.currency for line in want.lines}
        for currency in first | {line.currency for line in (now.lines if now else ())}:
            voids = self.voids[flight_id].get(currency)
            if voids is False:
                continue  # voided, and not billed again: nothing
            source = now if corrected or voids or currency not in first else want
            for line in source.lines if source else ():
                if line.currency == currency:
                    key = source.customer, line.code, line.unit_rate, line.tax_rate, currency
                    must[key] = tuple(map(sum, zip(must.get(key, (0, 0, 0)), (line.quantity, line.amount, line.tax_amount))))
        for key in sorted(have.keys() | must.keys()):
            if have.get(key) != must.get(key):
                texts = [" / ".join(map(show, sums)) if sums else "nothing" for sums in (have.get(key), must.get(key))]
                self.differences.add("all lines of a flight", f"{flight_id}, {key[0]} {key[1]} at {show(key[2])} {key[4]}: "
                                     f"quantity, amount, tax come to {texts[0]}, must come to {texts[1]}")

    # -- once all has been read

    def check_flights(self):
        for flight_id, want in self.expected.flights.items():
            if flight_id not in self.ledger:
                self.differences.add("flight not billed", f"{flight_id} ({want.customer}, landed {want.landed_on})")
            elif want.lines and flight_id not in self.charged:
                self.differences.add("flight without its charges", f"{flight_id} ({want.customer})")
        for flight_id in self.charged - self.ledger:
            self.differences.add("charges of a flight that is not in the ledger", flight_id)

    def check_invoices(self):
        groups, periods = collections.defaultdict(list), {}
        for invoice in self.invoices.values():
            key = invoice.customer, kind_of(invoice), invoice.closes_on, invoice.currency
            if self.first[invoice.id].charges:
                if key in self.expected.invoices:
                    groups[key].append(invoice)
                else:
                    self.differences.add("unexpected invoice", f"{name_of(key)} {invoice.status}, id {invoice.id}")
            elif not self.sums[invoice.id].charges:
                self.differences.add("invoice without charges", f"{name_of(key)} {invoice.status}, id {invoice.id}")
            if invoice.closes_on and invoice.status != "VOID":
                if periods.setdefault((key, invoice.outside), invoice.id) != invoice.id:
                    self.differences.add("two invoices for a period", f"{name_of(key)}: ids {periods[key, invoice.outside]}, {invoice.id}")
            self.check_one(key, invoice)
            self.check_void(key, invoice)
        for key, want in self.expected.invoices.items():
            found = groups.get(key, [])
            if len(found) != want.invoices:
                self.differences.add("number of invoices", f"{name_of(key)}: {len(found)}, must be {want.invoices}")
            have = Sums(key[3])
            for invoice in found:
                have.take(self.first[invoice.id])
            for what in ("flights", "charges"):
                if getattr(have, what) != getattr(want, what):
                    self.differences.add("invoice", f"{name_of(key)}: {getattr(have, what)} {what}, "
                                                    f"must be {getattr(want, what)}")
            issued = self.expected.status(key) == "issued"
            for what in ("subtotal", "tax", "total"):
                must = getattr(want, what)
                if getattr(have, what) != must:
                    self.differences.add("invoice", f"{name_of(key)}: charges' {what} {show_money(getattr(have, what), key[3])},"
                                                    f" must be {show_money(must, key[3])}")
                if issued and all(self.first[i.id].charges == self.sums[i.id].charges for i in found):
                    stored = sum((getattr(i, what) or Fraction(0) for i in found), Fraction(0))
                    if stored != must:
                        self.differences.add("invoice", f"{name_of(key)}: {what} {show_money(stored, key[3])}, "
                                                        f"must be {show_money(must, key[3])}")
            for invoice in found:
                if (invoice.status != "DRAFT") != issued:
                    self.differences.add("status", f"{name_of(key)}, id {invoice.id}: {invoice.status}, must be "
                                                   + ("issued" if issued else "DRAFT"))

    def check_one(self, key, invoice):
        """What must hold for an invoice by itself, its own charges and its own dates."""
        label = f"{name_of(key)} {invoice.number or 'id ' + invoice.id}"
        sums = self.sums[invoice.id]
        if not invoice.closes_on and not invoice.credits and len(self.flights_on[invoice.id]) != 1 and invoice.id not in self.interest:
            self.differences.add("invoice", f"{label}: {len(self.flights_on[invoice.id])} flights, must be 1")
        if invoice.status == "DRAFT":
            stray = [n for n in ("number", "subtotal", "tax", "total", "issued", "due_on")
                     if getattr(invoice, n) not in (None, "")]
            if stray:
                self.differences.add("draft", f"{label}: has {', '.join(stray)}")
            return
        if invoice.status not in ("PENDING", "OVERDUE", "PAID", "VOID"):
            self.differences.add("status", f"{label}: unknown status {invoice.status!r}")
        taxes = sums.taxes()
        if invoice.credits:  # what it takes back is what was taken, however that was rounded
            taxes = {key: (base, -self.taxes[invoice.credits].get(key, (0, 0))[1]) for key, (base, _) in taxes.items()}
        tax = sum((tax for _, tax in taxes.values()), Fraction(0))
        for what, must in (("subtotal", sums.subtotal), ("tax", tax), ("total", sums.subtotal + tax)):
            if getattr(invoice, what) != must:
                self.differences.add("invoice and its charges", f"{label}: {what} {show(getattr(invoice, what))}, its charges {show(must)}")
        if self.taxes[invoice.id] != taxes:
            texts = ["; ".join(f"{category} {show(rate)} of {show(base)}: {show(tax)}" for (category, rate), (base, tax) in sorted(all_.items()))
                     for all_ in (self.taxes[invoice.id], taxes)]
            self.differences.add("invoice and its taxes", f"{label}: has [{texts[0]}], must have [{texts[1]}]")
        customer = self.expected.customers.get(invoice.customer)
        if invoice.issued is None or invoice.due_on is None:
            self.differences.add("due date", f"{label}: issued {invoice.issued}, due {invoice.due_on}")
        elif customer:
            terms = 0 if invoice.kind == "credit_note" else customer.terms
            if invoice.due_on != invoice.issued + dt.timedelta(days=terms):
                self.differences.add("due date", f"{label}: issued {invoice.issued} + {terms} days, due {invoice.due_on}")

    def check_void(self, key, invoice):
        """A voided invoice has one credit note, which undoes each of its lines; no other invoice has one."""
        label = f"{name_of(key)} {invoice.number or 'id ' + invoice.id}"
        if (invoice.kind == "credit_note" or bool(invoice.credits)) != bool(invoice.reason):
            self.differences.add("credit note", f"{label}: reason {invoice.reason!r}")
        if invoice.kind == "credit_note" and not invoice.closes_on and invoice.status not in ("PENDING", "PAID"):
            self.differences.add("credit note", f"{label}: {invoice.status}")
        if invoice.kind == "credit_note" and not invoice.credits and invoice.total is not None and invoice.total >= 0:
            self.differences.add("credit note", f"{label}: total {show(invoice.total)}, without an invoice that it voids")
        if invoice.kind == "consolidated" and invoice.status != "DRAFT" and invoice.total is not None and invoice.total < 0:
            self.differences.add("credit note", f"{label}: total {show(invoice.total)}, and is none")
        if invoice.total == 0 and invoice.status not in ("PAID", "VOID"):
            self.differences.add("status", f"{label}: {invoice.status}, nothing is due")
        notes = [self.invoices[n] for n in self.voided.get(invoice.id, [])]
        if len(notes) != (invoice.status == "VOID"):
            self.differences.add("void", f"{label}: {invoice.status}, credit notes {[n.number for n in notes]}")
        for note in notes:
            kind = "consolidated" if invoice.kind == "credit_note" else "credit_note"
            if (note.kind, note.customer, note.currency) != (kind, invoice.customer, invoice.currency):
                self.differences.add("void", f"{label}: its credit note {note.number} is {note.kind} of {note.customer} in {note.currency}")
            undone = collections.Counter()
            for (flight_id, tariff_id, flown_on, line), times in self.lines_of[note.id].items():
                undone[flight_id, tariff_id, flown_on, line._replace(
                    quantity=-line.quantity, amount=-line.amount, tax_amount=-line.tax_amount)] += times
            if undone != self.lines_of[invoice.id]:
                self.differences.add("void", f"{label}: the lines of {note.number} are not the negative of its own")
            flights = {flight_id for flight_id, *_ in self.lines_of[invoice.id] if flight_id}
            if flights != self.voided_on[note.id]:
                self.differences.add("void", f"{label}: {len(flights)} flights, {len(self.voided_on[note.id])} in voided_flights")

    def check_numbers(self):
        numbers = collections.defaultdict(list)
        for invoice in self.invoices.values():
            if invoice.status == "DRAFT":
                continue
            prefix = invoice.customer + ("-CN" if invoice.kind == "credit_note" else "-")
            match = re.fullmatch(re.escape(prefix) + r"([0-9]{6,})", invoice.number or "")
            if not match or invoice.number != f"{prefix}{int(match[1]):06d}":
                self.differences.add("number", f"{invoice.customer}, id {invoice.id}: number {invoice.number!r}")
            else:
                numbers[prefix].append(int(match[1]))
        for code, seqs in self.seq.items():
            for prefix, seq in zip((code + "-", code + "-CN"), seqs):
                have = sorted(numbers.get(prefix, []))
                if have != list(range(1, len(have) + 1)):
                    first = next(i for i, n in enumerate(have, 1) if n != i)
                    self.differences.add("number", f"{code}: not gapless, {prefix}{first:06d} "
                                                   + ("is missing" if have[first - 1] > first else "comes after a double"))
                if seq != len(have):
                    self.differences.add("number", f"{code}: {seq} numbers {prefix} given out, but {len(have)} there")


# ------------------------------------------------------------------------------------------------------ self test

def self_test():
    """Cases worked out by hand; raises AssertionError."""
    def equal(have, want, what):
        if have != want:
            raise AssertionError(f"{what}: {have}, must be {want}")

    def tariff(row, code, basis, rate, airport="", applies_to="departure", low=None, high=None, minimum="0", tax="0",
               start="2012-01-01", end=None, customer="", currency="USD"):
        return Tariff(row, code, basis, customer, airport, applies_to, fraction_or(low), fraction_or(high), Fraction(rate),
                      Fraction(minimum), currency, Fraction(tax), dt.date.fromisoformat(start),
                      dt.date.fromisoformat(end) if end else None)

    def amounts(prices, *flight):
        return {(l.code, show(l.quantity, 0)): show_money(l.amount, l.currency) for l in prices.charges(*flight)}

    def reason(prices, *flight):
        try:
            return prices.charges(*flight)
        except Refused as why:
            return str(why)

    # Rounding.
    equal([round_units(Fraction(n, 8)) for n in (3, 4, 5, -4, 12, 20, -20)], [0, 1, 1, -1, 2, 3, -3], "halves go away from 0")
    equal([show_money(round_money(Fraction("1.0005"), c), c) for c in ("USD", "JPY", "KWD")], ["1.00", "1", "1.001"], "units")
    equal(route_distance(Fraction("2254.5")), Fraction("22.15"), "d of 2254.5 km: 22.145, up")
    equal(route_distance(Fraction("39.9")), 0, "d below 40 km")
    # Roots and powers, against decimals of 60 digits, over every mass that flies.
    with decimal.localcontext() as context:
        context.prec = 60
        cent = decimal.Decimal("0.01")
        for kg in list(range(1, 640000, 397)) + [50000, 100000, 79016, 115666]:
            p = (decimal.Decimal(round_units(Fraction(kg, 100))) / 500).sqrt().quantize(cent, decimal.ROUND_HALF_UP)
            q = ((decimal.Decimal(kg) / 50000) ** decimal.Decimal("0.7")).quantize(cent, decimal.ROUND_HALF_UP)
            equal((route_weight(kg), terminal_weight(kg)), (Fraction(p), Fraction(q)), f"p and terminal weight of {kg} kg")

    # The published check (Dublin, 2025): 200 t at 5.50 for the first 136 t and 3.75 above: 748.00 + 240.00 = 988.00.
    on = dt.date(2013, 1, 1)
    dublin = PriceList([tariff(1, "RUNWAY", "per_tonne", "5.50", low="0", high="136"),
                        tariff(2, "RUNWAY", "per_tonne", "3.75", low="136")])
    lines = dublin.charges("X", "EIDW", "EGLL", on, 200000, None, None)
    equal([show(l.amount) for l in lines], ["240.00", "748.00"], "Dublin's lines")
    equal(show(sum(l.amount for l in lines)), "988.00", "Dublin's total")

    real = PriceList([
        tariff(1, "RUNWAY", "per_tonne", "5.50", "KJFK", low="0", high="136", minimum="60.00"),
        tariff(2, "RUNWAY-HEAVY", "per_tonne", "3.75", "KJFK", low="136"),
        tariff(3, "RUNWAY", "per_tonne", "4.80", "KEWR", low="0", minimum="60.00"),
        tariff(4, "RUNWAY", "per_tonne", "6.10", "KLGA", low="0", minimum="75.00", end="2013-07-01"),
        tariff(5, "RUNWAY", "per_tonne", "6.35", "KLGA", low="0", minimum="75.00", start="2013-07-01"),
        tariff(6, "TERMINAL", "terminal", "142.18"),
        tariff(7, "ROUTE", "route", "61.75", applies_to="any")])
    # UAL1545: 79,016 kg, 2253.1 km. 80 x 4.80; 1.58032^0.7 = 1.3776, 1.38 x 142.18 = 196.2084;
    # d 22.131 -> 22.13, p sqrt(79.0/50) = 1.25698 -> 1.26, 27.8838 x 61.75 = 1721.82465.
    equal(amounts(real, "UAL", "KEWR", "KIAH", on, 79016, Fraction("2253.1"), None),
          {("RUNWAY", "80"): "384.00", ("TERMINAL", "1.38"): "196.21", ("ROUTE", "27.8838"): "1721.82"}, "UAL1545")
    # UAL1714: 80 x 6.10; d 22.388 -> 22.39, 28.2114 x 61.75 = 1742.05395.
    equal(amounts(real, "UAL", "KLGA", "KIAH", on, 79016, Fraction("2278.8"), None),
          {("RUNWAY", "80"): "488.00", ("TERMINAL", "1.38"): "196.21", ("ROUTE", "28.2114"): "1742.05"}, "UAL1714")
    # AAL1141: 115,666 kg, 1752.6 km, nothing above 136 t. 116 x 5.50; 2.31332^0.7 = 1.7987, 1.80 x 142.18 = 255.924;
    # d 17.126 -> 17.13, p sqrt(115.7/50) = 1.52118 -> 1.52, 26.0376 x 61.75 = 1607.8218.
    equal(amounts(real, "AAL", "KJFK", "KMIA", on, 115666, Fraction("1752.6"), None),
          {("RUNWAY", "116"): "638.00", ("TERMINAL", "1.8"): "255.92", ("ROUTE", "26.0376"): "1607.82"}, "AAL1141")
    # From July LaGuardia costs 6.35; 10 t makes 63.50, below the minimum of 75.00.
    for date, rate in ((dt.date(2013, 6, 30), "6.1"), (dt.date(2013, 7, 1), "6.35")):
        line, = [l for l in real.charges("X", "KLGA", "KBOS", date, 10000, Fraction(300), None) if l.code == "RUNWAY"]
        equal((show(line.unit_rate, 1), show(line.amount)), (rate, "75.00"), f"minimum on {date}")
    equal(reason(real, "X", "KLGA", "KBOS", on, None, Fraction(300), None), "mass missing", "no mass")
    equal(reason(real, "X", "KLGA", "KBOS", on, 10000, None, None), "distance missing", "no distance")
    equal(reason(real, "X", "KLGA", "KBOS", dt.date(2011, 12, 31), None, None, None), "no tariff applies", "before all tariffs")

    # Bands of other bases, a customer's own tariff, tax, arrivals, quantity 0, amount 0.
    mixed = PriceList([
        tariff(1, "STAND", "per_flight", "10", low="0", high="50", tax="0.20"),
        tariff(2, "STAND", "per_flight", "20.03", low="50", tax="0.125"),
        tariff(3, "STAND", "per_flight", "0", customer="OWN"),
        tariff(4, "PAX", "per_passenger", "1.5", "AAAA", "arrival"),
        tariff(5, "KM", "per_km", "0.005", "AAAA", "any")])
    equal(amounts(mixed, "X", "BBBB", "AAAA", on, 50000, Fraction(1), 0), {("STAND", "1"): "10.00", ("KM", "1"): "0.01"}, "50 t")
    line, = mixed.charges("X", "BBBB", "CCCC", on, 50001, None, None)
    equal((show(line.amount), show(line.tax_amount)), ("20.03", "2.50"), "20.03 at 12.5 % is 2.50375")
    equal(amounts(mixed, "OWN", "AAAA", "BBBB", on, None, Fraction(0), None), {("STAND", "1"): "0.00"}, "own tariff, exempt")
    equal(reason(mixed, "X", "CCCC", "BBBB", on, None, None, None), "mass missing", "a band needs the mass")

    # Calendar. 2013-01-06 was a Sunday.
    weekly, monthly = Customer("W", "weekly", 7, 30, False), Customer("M", "monthly", None, 30, False)
    single = Customer("S", "per_flight", None, 7, False)
    d = dt.date.fromisoformat
    end = BillingCalendar("period_end", d("2013-01-01"), d("2013-01-31"))
    after = BillingCalendar("next_day", d("2013-01-01"), d("2013-02-01"))
    for cal, customer, landed, saved_after, closes, late in (
            (end, weekly, "2013-01-05", False, "2013-01-06", False), (end, weekly, "2013-01-06", False, "2013-01-13", False),
            (after, weekly, "2013-01-06", False, "2013-01-06", False), (after, weekly, "2013-01-07", False, "2013-01-13", False),
            (end, monthly, "2013-01-30", False, "2013-01-31", False), (end, monthly, "2013-01-31", False, "2013-02-28", False),
            (after, monthly, "2013-01-31", False, "2013-01-31", False), (end, monthly, "2013-12-31", False, "2014-01-31", False),
            (end, weekly, "2013-01-26", True, "2013-02-03", True), (end, monthly, "2013-01-30", True, "2013-02-28", True),
            (end, monthly, "2013-01-31", True, "2013-02-28", False), (after, monthly, "2013-01-31", True, "2013-02-28", True),
            (end, monthly, "2012-12-05", False, "2013-01-31", True), (end, monthly, "2012-12-31", False, "2013-01-31", False),
            (after, monthly, "2012-12-31", False, "2012-12-31", False), (after, weekly, "2012-12-30", False, "2013-01-06", True)):
        equal(cal.place(customer, d(landed), saved_after), (d(closes), late), f"{customer.code} {landed} {saved_after}")
    equal(end.place(single, d("2013-01-05"), True), (None, False), "per flight")
    equal([end.place(weekly, d("2013-01-05"), False, d(x)) for x in ("2013-01-05", "2013-01-06", "2013-01-14")],
          [(d("2013-01-06"), False), (d("2013-01-13"), True), (d("2013-01-20"), True)], "saved under a cut-off")
    equal([end.is_issued(weekly, d(x)) for x in ("2013-01-27", "2013-01-31", "2013-02-03")], [True, True, False], "issued")
    equal([after.is_issued(monthly, d(x)) for x in ("2013-01-31", "2013-02-28")], [True, False], "issued, next_day")
    equal((end.cutoff, after.cutoff), (d("2013-01-31"), d("2013-01-31")), "cut-offs")
    # 12.33 at 20 % is 2.466: a thousand lines are 2,466.00, and 2,470.00 line by line.
    line = Line("A", Fraction(1), Fraction("12.33"), Fraction("12.33"), Fraction("0.2"), Fraction("2.47"), "EUR")
    both, by_line = Sums("EUR"), type("ByLine", (Sums,), {"tax_by": "line"})("EUR")
    for invoice in ("I1", "I2"):
        one = Sums("EUR")
        for _ in range(1000):
            one.add(line, invoice)
            by_line.add(line, invoice)
        both.take(one)
    equal((show(both.tax), show(both.total), show(by_line.tax)), ("4932.00", "29592.00", "4940.00"), "tax by invoice, and by line")
    new_york = zoneinfo.ZoneInfo("America/New_York")
    equal(instant("2013-07-01T03:59:59Z").astimezone(new_york).date(), d("2013-06-30"), "landing date in the zone")
    self_test_of_corrections(tariff, equal)


def self_test_of_corrections(tariff, equal):
    """A database in which F1 was voided and billed again at a new rate, F2 corrected, and F3 voided for good: all is well;
    and with any one cell changed it is not."""
    d = dt.date.fromisoformat
    each, week = Customer("EACH", "per_flight", None, 14, False), Customer("WEEK", "weekly", 7, 30, False)
    before, after = (PriceList([tariff(1, "RUNWAY", "per_tonne", rate, tax="0.20")]) for rate in ("2.00", "3.00"))
    expected, now = Expected(), Expected()
    for each_of, mass, prices in ((expected, 71000, before), (now, 80000, after)):
        each_of.customers = {"EACH": each, "WEEK": week}
        each_of.calendar = BillingCalendar("period_end", d("2013-01-01"), d("2013-01-08"))
        for flight, customer, closes_on, kg in (("F1", "EACH", None, 71000), ("F2", "WEEK", d("2013-01-06"), mass), ("F3", "EACH", None, 71000)):
            each_of.flights[flight] = Billed(customer, closes_on, d("2013-01-02"), False, prices.charges(
                customer, "A", "B", d("2013-01-02"), kg, None, None))
        each_of._add_up()
    # 2013-01-02 and 2013-01-08, 12:00 UTC.
    early, late = "1357128000", "1357646400"
    good = [
        "customer,1,EACH,per_flight,,14,4,3", "customer,2,WEEK,weekly,7,30,1,0",
        f"invoice,11,EACH-000001,1,flight,,USD,VOID,142,28.40,170.40,{early},2013-01-16,,",
        f"invoice,12,EACH-000002,1,flight,,USD,VOID,142,28.40,170.40,{early},2013-01-16,,",
        f"invoice,13,WEEK-000001,2,consolidated,2013-01-06,USD,PENDING,142,28.40,170.40,{late},2013-02-07,,",
        f"invoice,14,EACH-CN000001,1,credit_note,,USD,PAID,-142,-28.40,-170.40,{late},2013-01-08,11,wrong rate",
        f"invoice,15,EACH-000003,1,flight,,USD,PENDING,213,42.60,255.60,{late},2013-01-22,,",
        f"invoice,16,EACH-CN000002,1,credit_note,,USD,PENDING,-142,-28.40,-170.40,{late},2013-01-08,12,not ours",
        "invoice,17,,2,consolidated,2013-01-13,USD,DRAFT,,,,,,,",
        "flight,F1,1,2013-01-02,2", "flight,F2,2,2013-01-02,1", "flight,F3,1,2013-01-02,1",
        "void,F1,14,USD,t", "void,F3,16,USD,f",
        "charge,1,11,F1,1,RUNWAY,71,2,142,0.20,28.40,2013-01-02,0,t,", "charge,2,14,F1,1,RUNWAY,-71,2,-142,0.20,-28.40,2013-01-02,0,t,",
        "charge,3,15,F1,1,RUNWAY,71,3,213,0.20,42.60,2013-01-02,1,t,rebilled",
        "charge,4,13,F2,1,RUNWAY,71,2,142,0.20,28.40,2013-01-02,0,t,", "charge,5,17,F2,1,RUNWAY,-71,2,-142,0.20,-28.40,2013-01-02,1,t,correction",
        "charge,6,17,F2,1,RUNWAY,80,3,240,0.20,48.00,2013-01-02,1,t,correction",
        "charge,7,12,F3,1,RUNWAY,71,2,142,0.20,28.40,2013-01-02,0,t,", "charge,8,16,F3,1,RUNWAY,-71,2,-142,0.20,-28.40,2013-01-02,0,t,"]
    good = [row + ",standard" if row.startswith("charge,") else row for row in good] + [
        f"tax,{invoice},standard,0.2,{base},{tax}" for invoice, base, tax in (
            (11, 142, "28.40"), (12, 142, "28.40"), (13, 142, "28.40"), (14, -142, "-28.40"), (15, 213, "42.60"), (16, -142, "-28.40"))] + [
        "tax,18,outside,0,1,0", "tax,19,outside,0,-1,0",
        f"invoice,18,EACH-000004,1,flight,,USD,VOID,1,0,1,{late},2013-01-22,,,t",
        f"invoice,19,EACH-CN000003,1,credit_note,,USD,PAID,-1,0,-1,{late},2013-01-08,18,waived,t",
        "interest,9,18,15,2013-01-07,INTEREST,1,1,1,0,0", "interest,10,19,15,2013-01-07,INTEREST,-1,1,-1,0,0"]

    def differences(rows):
        rows = sorted(rows, key=lambda row: row.startswith("charge,"))  # as QUERIES has them
        comparison = Comparison(expected, dt.timezone.utc, now)
        return comparison.run(row.split(",") for row in rows).kinds

    equal(differences(good), {}, "voids, re-billing and a correction")
    for what, row, was, becomes in (
            ("void without a credit note", 5, ",11,wrong rate", ",12,wrong rate"), ("a second credit note", 6, "2013-01-22,,", "2013-01-22,11,why"),
            ("credit note without a reason", 5, "wrong rate", ""), ("credit note due later", 5, "2013-01-08", "2013-01-22"),
            ("credit note number", 7, "CN000002", "CN000003"), ("credit_note_seq", 0, ",14,4,3", ",14,4,4"),
            ("credit note in the series of invoices", 5, "EACH-CN000001", "EACH-000004"), ("overdue credit note", 7, "PENDING", "OVERDUE"),
            ("void that is not", 2, "VOID", "PENDING"), ("a line not undone", 15, "-71,2,-142,0.20,-28.40", "-70,2,-140,0.20,-28.00"),
            ("billed again, and not so in the ledger", 12, ",t", ",f"), ("not billed again, and so in the ledger", 13, ",f", ",t"),
            ("billed again at the old rate", 16, "71,3,213,0.20,42.60", "71,2,142,0.20,28.40"), ("not marked late", 16, ",1,t", ",0,t"),
            ("without its origin", 16, "rebilled", ""), ("half corrected", 19, "80,3,240,0.20,48.00", "79,3,237,0.20,47.40"),
            ("corrected on an open draft whose run is over", 8, "2013-01-13", "2013-01-06"),
            ("no flight in voided_flights", 13, "F3", "F2"),
            ("tax", 24, "28.40", "28.41"), ("rate", 23, "0.2", "0.1"), ("tax taken back", 25, "-28.40", "-28.39"), ("category", 22, "standard", "zero"),
            ("payer", 6, "15,EACH-000003,1", "15,EACH-000003,2"),
            ("interest with tax", -2, ",0,0", ",0,1"), ("interest of another", -2, ",18,15,", ",18,13,"), ("interest not undone", -1, "-1,1,-1", "-2,1,-2"),
            ("interest within VAT", -4, ",,,t", ",,,f")):
        if was not in good[row]:
            raise AssertionError(f"{what}: {was} is not in {good[row]}")
        changed = list(good)
        changed[row] = good[row].replace(was, becomes, 1)
        if not differences(changed):
            raise AssertionError(f"{what}: not noticed")
    for row in (18, 19):  # half of a correction
        if not differences(good[:row] + good[row + 1:]):
            raise AssertionError(f"without {good[row]}: not noticed")


# ---------------------------------------------------------------------------------------------------------- main

def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog="Exit status: 0 all agrees, 1 differences.")
    parser.add_argument("--flights", metavar="FILE.csv[.gz]")
    parser.add_argument("--customers", metavar="C.csv")
    parser.add_argument("--tariffs", metavar="T.csv")
    parser.add_argument("--tax-by", choices=("invoice", "line"), default="invoice")
    parser.add_argument("--timezone", default="UTC", type=zoneinfo.ZoneInfo, metavar="ZONE")
    parser.add_argument("--close", choices=("period_end", "next_day"), default="period_end")
    parser.add_argument("--start", type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="FLIGHTBILL_BILLING_START")
    parser.add_argument("--last-run", type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="last run date that was run")
    parser.add_argument("--assume-mass", type=int, metavar="KG", help="for landed flights without a mass")
    parser.add_argument("--late-flights", metavar="FILE", help="ids of flights saved after the last run, one a line")
    for name in ("flights", "customers", "tariffs"):
        parser.add_argument(f"--{name}-now", metavar="FILE", help=f"{name} that what was billed again or corrected is judged by")
    parser.add_argument("--cutoffs", metavar="FILE.csv", help="flight_id,cutoff: the last closing date run when it was saved")
    parser.add_argument("--summary", action="store_true", help="print what must be there, as JSON")
    parser.add_argument("--database", metavar="URL", help="compare with this database (read-only)")
    parser.add_argument("--self-test", action="store_true", help="check this tool against cases worked out by hand")
    try:
        args = parser.parse_args()
    except zoneinfo.ZoneInfoNotFoundError as err:
        parser.error(str(err))
    if not args.self_test:
        lacking = [n for n in ("flights", "customers", "tariffs", "start", "last_run") if not getattr(args, n)]
        if lacking:
            parser.error("needed: " + ", ".join("--" + n.replace("_", "-") for n in lacking))
        if not args.summary and not args.database:
            parser.error("say what to do: --summary, --database URL or --self-test")
        if args.assume_mass is not None and args.assume_mass <= 0:
            parser.error("--assume-mass must be above 0")
    return args


def main():
    args = arguments()
    if args.self_test:
        self_test()
        print("OK: self test")
        return 0
    Sums.tax_by = args.tax_by
    expected = now = Expected()
    try:
        billing_calendar = BillingCalendar(args.close, args.start, args.last_run)
        expected.compute(args, args.timezone, billing_calendar)
        if args.flights_now or args.customers_now or args.tariffs_now:
            now = Expected()
            now.compute(args, args.timezone, billing_calendar, "_now")
    except (OSError, ValueError, KeyError) as err:
        print(f"cannot compute: {err}", file=sys.stderr)
        return 2
    if args.summary:
        json.dump(expected.summary(), sys.stdout, indent=1)
        print()
    if not args.database:
        return 0
    comparison = Comparison(expected, args.timezone, now)
    try:
        differences = comparison.run(read_database(args.database))
    except (OSError, RuntimeError) as err:
        print(f"cannot read the database: {err}", file=sys.stderr)
        return 1
    if differences.total():
        differences.report(sys.stdout)
        return 1
    total = " + ".join(f"{t} {c}" for c, t in expected.grand_total().items()) or "0"
    after = ""
    if comparison.again:
        after = f"; so do {len(comparison.voided)} voids and {comparison.again} lines of voids, re-billings and corrections"
    print(f"OK: {len(comparison.invoices)} invoices, {comparison.charges} charges, total {total} agree to the cent{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
