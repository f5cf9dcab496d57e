"""Accounts in words: grams, batteries and trust, for tables and pages; nothing where a cluster gives none."""

from __future__ import annotations

from solver.report import Report
from solver.reporting import units


def account_figures(report: Report) -> tuple[tuple[str, str, str], ...]:
    """Return headline figures as (name, figure, note).

    Parameters
    ----------
    report
        What a plan costs.
    """
    accounts, found = report.accounts, []
    if accounts.carbon_g:
        note = f"{report.energy_is} joules times the intensity of each supply"
        if accounts.num_unknown:
            note += f"; not known of {accounts.num_unknown} device(s)"
        found.append(("CO2e of a step", units.grams(accounts.total_carbon_g), note))
    if accounts.first_empty is not None:
        battery = accounts.batteries[accounts.first_empty]
        note = f"{accounts.first_empty} is empty first, after {battery.num_steps:,} steps"
        found.append(("Battery life", units.span(battery.lasts_s), note))
    if accounts.trust:
        pairs = ", ".join(f"{a} → {b}" for a, b in accounts.untrusted)
        found.append(("To less trusted devices", units.size(report.untrusted_bytes), pairs or "no bytes"))
    return tuple(found)


def account_columns(report: Report) -> dict[str, dict[str, str]]:
    """Return columns of tables of devices: heading to figure by device.

    Parameters
    ----------
    report
        What a plan costs.
    """
    accounts = report.accounts
    columns = {
        "CO2e": {name: units.grams(value) for name, value in accounts.carbon_g.items()},
        "battery": {
            name: f"{units.span(one.lasts_s)}, {one.num_steps:,} steps" if one.step_j else "not used"
            for name, one in accounts.batteries.items()
        },
        "trust": {name: str(level) for name, level in accounts.trust.items()},
    }
    return {heading: column for heading, column in columns.items() if column}


def account_sums(report: Report) -> dict[str, tuple[float, str]]:
    """Return what plans are compared by: name to (figure, words).

    Parameters
    ----------
    report
        What a plan costs.
    """
    accounts, found = report.accounts, {}
    if accounts.carbon_g:
        found["CO2e (modelled)"] = accounts.total_carbon_g, units.grams(accounts.total_carbon_g)
    if accounts.first_empty is not None:
        lasts_s = accounts.batteries[accounts.first_empty].lasts_s
        found["battery life"] = lasts_s, units.span(lasts_s)
    if accounts.trust:
        found["to less trusted"] = float(report.untrusted_bytes), units.size(report.untrusted_bytes)
    return found
