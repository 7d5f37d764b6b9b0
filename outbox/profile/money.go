package profile

import (
	"math"
	"strings"

	"github.com/waybill-dev/waybill/domain/order"
)

// currencySign is how a currency is written by those who follow the Money library of Ruby, as Chord and Commerce Layer do: its symbol, and
// the marks between thousands and before decimals in the country that it belongs to.
type currencySign struct{ symbol, thousands, decimal string }

var currencySigns = map[string]currencySign{
	"AUD": {"$", ",", "."}, "BRL": {"R$", ".", ","}, "CAD": {"$", ",", "."}, "CHF": {"CHF", ",", "."}, "CNY": {"¥", ",", "."},
	"CZK": {"Kč", " ", ","}, "DKK": {"kr.", ".", ","}, "EUR": {"€", ".", ","}, "GBP": {"£", ",", "."}, "HKD": {"$", ",", "."},
	"INR": {"₹", ",", "."}, "JPY": {"¥", ",", "."}, "KRW": {"₩", ",", "."}, "MXN": {"$", ",", "."}, "NOK": {"kr", ".", ","},
	"NZD": {"$", ",", "."}, "PLN": {"zł", " ", ","}, "SEK": {"kr", " ", ","}, "SGD": {"$", ",", "."}, "USD": {"$", ",", "."},
}

func signOf(currency string) currencySign {
	if s, ok := currencySigns[currency]; ok {
		return s
	}
	return currencySign{currency, ",", "."}
}

// plainAmount writes an amount as Ruby writes a decimal number: with as many decimals as it needs, but at least one, as in "10.0" and
// "10.63".
func plainAmount(amount int64, currency string) string {
	s := order.FormatDecimal(amount, currency)
	whole, decimals, ok := strings.Cut(s, ".")
	if decimals = strings.TrimRight(decimals, "0"); !ok || decimals == "" {
		decimals = "0"
	}
	return whole + "." + decimals
}

// signedAmount writes an amount for people, such as "$1,234.50" or "-€5,00".
func signedAmount(amount int64, currency string, s currencySign) string {
	text, minus := strings.CutPrefix(order.FormatDecimal(amount, currency), "-")
	whole, decimals, _ := strings.Cut(text, ".")
	var b strings.Builder
	if minus {
		b.WriteByte('-')
	}
	b.WriteString(s.symbol)
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(s.thousands)
		}
		b.WriteByte(whole[i])
	}
	if decimals != "" {
		b.WriteString(s.decimal + decimals)
	}
	return b.String()
}

// floatAmount is an amount in major units, for those who calculate with them all the same.
func floatAmount(amount int64, currency string) float64 {
	return float64(amount) / math.Pow10(order.Exponent(currency))
}
