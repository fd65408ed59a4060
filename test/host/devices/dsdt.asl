// SPDX-License-Identifier: MIT
// What the DSDT of acpi_tables.c says. The test compiles this and compares the bytes.
DefinitionBlock ("", "DSDT", 2, "GATEHS", "GATEHOUS", 1)
{
    Name (\_S5, Package (4) { 5, 5, 0, 0 })
}
