package order

import (
	"fmt"
	"strings"
)

// Exponent is the number of decimal digits of a currency by ISO 4217: 2 for USD, 0 for JPY, 3 for KWD, and 2 for any code that
// it does not know.
func Exponent(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	case "CLF", "UYW":
		return 4
	}
	return 2
}

// FormatDecimal writes an amount in minor units as a decimal number with all of its currency's digits, such as "10.63".
func FormatDecimal(amount int64, currency string) string {
	sign, minor := "", uint64(amount)
	if amount < 0 {
		sign, minor = "-", -minor
	}
	exponent := Exponent(currency)
	digits := fmt.Sprintf("%0*d", exponent+1, minor)
	if exponent == 0 {
		return sign + digits
	}
	point := len(digits) - exponent
	return sign + digits[:point] + "." + digits[point:]
}

// FormatAmount writes an amount in minor units for people, such as "10.63 USD".
func FormatAmount(amount int64, currency string) string {
	return strings.TrimSpace(FormatDecimal(amount, currency) + " " + currency)
}
