package profile

// The attributes of Commerce Layer's resources, all of them and in the order of its API reference. What Waybill does not know is null,
// zero or empty, as Commerce Layer sends it. Amounts come in threes: in minor units, in major units, and written out.

// clCommon is what every resource ends with.
type clCommon struct {
	CreatedAt       string            `json:"created_at" schema:"date-time"`
	UpdatedAt       string            `json:"updated_at" schema:"date-time"`
	Reference       *string           `json:"reference"`
	ReferenceOrigin *string           `json:"reference_origin"`
	Metadata        map[string]string `json:"metadata"`
}

type clOrder struct {
	Number                              *string   `json:"number"`
	AffiliateCode                       *string   `json:"affiliate_code"`
	Autorefresh                         bool      `json:"autorefresh"`
	PlaceAsync                          bool      `json:"place_async"`
	Status                              string    `json:"status"`
	PaymentStatus                       string    `json:"payment_status"`
	FulfillmentStatus                   string    `json:"fulfillment_status"`
	Guest                               bool      `json:"guest"`
	Editable                            bool      `json:"editable"`
	CustomerEmail                       *string   `json:"customer_email"`
	CustomerType                        *string   `json:"customer_type"`
	LanguageCode                        *string   `json:"language_code"`
	CurrencyCode                        string    `json:"currency_code"`
	TaxIncluded                         bool      `json:"tax_included"`
	TaxRate                             *float64  `json:"tax_rate"`
	FreightTaxable                      bool      `json:"freight_taxable"`
	PaymentMethodTaxable                bool      `json:"payment_method_taxable"`
	AdjustmentTaxable                   bool      `json:"adjustment_taxable"`
	GiftCardTaxable                     bool      `json:"gift_card_taxable"`
	RequiresBillingInfo                 bool      `json:"requires_billing_info"`
	CountryCode                         *string   `json:"country_code"`
	ShippingCountryCodeLock             *string   `json:"shipping_country_code_lock"`
	CouponCode                          *string   `json:"coupon_code"`
	GiftCardCode                        *string   `json:"gift_card_code"`
	SubtotalAmountCents                 int64     `json:"subtotal_amount_cents"`
	SubtotalAmountFloat                 float64   `json:"subtotal_amount_float"`
	FormattedSubtotalAmount             string    `json:"formatted_subtotal_amount"`
	ShippingAmountCents                 int64     `json:"shipping_amount_cents"`
	ShippingAmountFloat                 float64   `json:"shipping_amount_float"`
	FormattedShippingAmount             string    `json:"formatted_shipping_amount"`
	PaymentMethodAmountCents            int64     `json:"payment_method_amount_cents"`
	PaymentMethodAmountFloat            float64   `json:"payment_method_amount_float"`
	FormattedPaymentMethodAmount        string    `json:"formatted_payment_method_amount"`
	DiscountAmountCents                 int64     `json:"discount_amount_cents"`
	DiscountAmountFloat                 float64   `json:"discount_amount_float"`
	FormattedDiscountAmount             string    `json:"formatted_discount_amount"`
	AdjustmentAmountCents               int64     `json:"adjustment_amount_cents"`
	AdjustmentAmountFloat               float64   `json:"adjustment_amount_float"`
	FormattedAdjustmentAmount           string    `json:"formatted_adjustment_amount"`
	GiftCardAmountCents                 int64     `json:"gift_card_amount_cents"`
	GiftCardAmountFloat                 float64   `json:"gift_card_amount_float"`
	FormattedGiftCardAmount             string    `json:"formatted_gift_card_amount"`
	TotalTaxAmountCents                 int64     `json:"total_tax_amount_cents"`
	TotalTaxAmountFloat                 float64   `json:"total_tax_amount_float"`
	FormattedTotalTaxAmount             string    `json:"formatted_total_tax_amount"`
	SubtotalTaxAmountCents              int64     `json:"subtotal_tax_amount_cents"`
	SubtotalTaxAmountFloat              float64   `json:"subtotal_tax_amount_float"`
	FormattedSubtotalTaxAmount          string    `json:"formatted_subtotal_tax_amount"`
	ShippingTaxAmountCents              int64     `json:"shipping_tax_amount_cents"`
	ShippingTaxAmountFloat              float64   `json:"shipping_tax_amount_float"`
	FormattedShippingTaxAmount          string    `json:"formatted_shipping_tax_amount"`
	PaymentMethodTaxAmountCents         int64     `json:"payment_method_tax_amount_cents"`
	PaymentMethodTaxAmountFloat         float64   `json:"payment_method_tax_amount_float"`
	FormattedPaymentMethodTaxAmount     string    `json:"formatted_payment_method_tax_amount"`
	AdjustmentTaxAmountCents            int64     `json:"adjustment_tax_amount_cents"`
	AdjustmentTaxAmountFloat            float64   `json:"adjustment_tax_amount_float"`
	FormattedAdjustmentTaxAmount        string    `json:"formatted_adjustment_tax_amount"`
	TotalAmountCents                    int64     `json:"total_amount_cents"`
	TotalAmountFloat                    float64   `json:"total_amount_float"`
	FormattedTotalAmount                string    `json:"formatted_total_amount"`
	TotalTaxableAmountCents             int64     `json:"total_taxable_amount_cents"`
	TotalTaxableAmountFloat             float64   `json:"total_taxable_amount_float"`
	FormattedTotalTaxableAmount         string    `json:"formatted_total_taxable_amount"`
	SubtotalTaxableAmountCents          int64     `json:"subtotal_taxable_amount_cents"`
	SubtotalTaxableAmountFloat          float64   `json:"subtotal_taxable_amount_float"`
	FormattedSubtotalTaxableAmount      string    `json:"formatted_subtotal_taxable_amount"`
	ShippingTaxableAmountCents          int64     `json:"shipping_taxable_amount_cents"`
	ShippingTaxableAmountFloat          float64   `json:"shipping_taxable_amount_float"`
	FormattedShippingTaxableAmount      string    `json:"formatted_shipping_taxable_amount"`
	PaymentMethodTaxableAmountCents     int64     `json:"payment_method_taxable_amount_cents"`
	PaymentMethodTaxableAmountFloat     float64   `json:"payment_method_taxable_amount_float"`
	FormattedPaymentMethodTaxableAmount string    `json:"formatted_payment_method_taxable_amount"`
	AdjustmentTaxableAmountCents        int64     `json:"adjustment_taxable_amount_cents"`
	AdjustmentTaxableAmountFloat        float64   `json:"adjustment_taxable_amount_float"`
	FormattedAdjustmentTaxableAmount    string    `json:"formatted_adjustment_taxable_amount"`
	TotalAmountWithTaxesCents           int64     `json:"total_amount_with_taxes_cents"`
	TotalAmountWithTaxesFloat           float64   `json:"total_amount_with_taxes_float"`
	FormattedTotalAmountWithTaxes       string    `json:"formatted_total_amount_with_taxes"`
	FeesAmountCents                     int64     `json:"fees_amount_cents"`
	FeesAmountFloat                     float64   `json:"fees_amount_float"`
	FormattedFeesAmount                 string    `json:"formatted_fees_amount"`
	DutyAmountCents                     int64     `json:"duty_amount_cents"`
	DutyAmountFloat                     float64   `json:"duty_amount_float"`
	FormattedDutyAmount                 string    `json:"formatted_duty_amount"`
	PlaceTotalAmountCents               int64     `json:"place_total_amount_cents"`
	PlaceTotalAmountFloat               float64   `json:"place_total_amount_float"`
	FormattedPlaceTotalAmount           string    `json:"formatted_place_total_amount"`
	SKUsCount                           int64     `json:"skus_count"`
	LineItemOptionsCount                int64     `json:"line_item_options_count"`
	ShipmentsCount                      int64     `json:"shipments_count"`
	TaxCalculationsCount                int64     `json:"tax_calculations_count"`
	ValidationsCount                    int64     `json:"validations_count"`
	ErrorsCount                         int64     `json:"errors_count"`
	PaymentSourceDetails                *struct{} `json:"payment_source_details"`
	Token                               *string   `json:"token"`
	CartURL                             *string   `json:"cart_url"`
	ReturnURL                           *string   `json:"return_url"`
	TermsURL                            *string   `json:"terms_url"`
	PrivacyURL                          *string   `json:"privacy_url"`
	CheckoutURL                         *string   `json:"checkout_url"`
	PlacedAt                            *string   `json:"placed_at" schema:"date-time"`
	ApprovedAt                          *string   `json:"approved_at" schema:"date-time"`
	CancelledAt                         *string   `json:"cancelled_at" schema:"date-time"`
	PaymentUpdatedAt                    *string   `json:"payment_updated_at" schema:"date-time"`
	FulfillmentUpdatedAt                *string   `json:"fulfillment_updated_at" schema:"date-time"`
	RefreshedAt                         *string   `json:"refreshed_at" schema:"date-time"`
	ArchivedAt                          *string   `json:"archived_at" schema:"date-time"`
	SubscriptionCreatedAt               *string   `json:"subscription_created_at" schema:"date-time"`
	ExpiresAt                           *string   `json:"expires_at" schema:"date-time"`
	ExpirationInfo                      *struct{} `json:"expiration_info"`
	CircuitState                        string    `json:"circuit_state"`
	CircuitFailureCount                 int64     `json:"circuit_failure_count"`
	clCommon
}

type clShipment struct {
	Number               string     `json:"number"`
	Status               string     `json:"status"`
	CurrencyCode         string     `json:"currency_code"`
	CostAmountCents      int64      `json:"cost_amount_cents"`
	CostAmountFloat      float64    `json:"cost_amount_float"`
	FormattedCostAmount  string     `json:"formatted_cost_amount"`
	SKUsCount            int64      `json:"skus_count"`
	SelectedRateID       *string    `json:"selected_rate_id"`
	Rates                []struct{} `json:"rates"`
	PurchaseErrorCode    *string    `json:"purchase_error_code"`
	PurchaseErrorMessage *string    `json:"purchase_error_message"`
	GetRatesErrors       []struct{} `json:"get_rates_errors"`
	GetRatesStartedAt    *string    `json:"get_rates_started_at" schema:"date-time"`
	GetRatesCompletedAt  *string    `json:"get_rates_completed_at" schema:"date-time"`
	PurchaseStartedAt    *string    `json:"purchase_started_at" schema:"date-time"`
	PurchaseCompletedAt  *string    `json:"purchase_completed_at" schema:"date-time"`
	PurchaseFailedAt     *string    `json:"purchase_failed_at" schema:"date-time"`
	OnHoldAt             *string    `json:"on_hold_at" schema:"date-time"`
	PickingAt            *string    `json:"picking_at" schema:"date-time"`
	PackingAt            *string    `json:"packing_at" schema:"date-time"`
	ReadyToShipAt        *string    `json:"ready_to_ship_at" schema:"date-time"`
	ShippedAt            *string    `json:"shipped_at" schema:"date-time"`
	DeliveredAt          *string    `json:"delivered_at" schema:"date-time"`
	clCommon
}

type clParcel struct {
	Number                  *string    `json:"number"`
	Weight                  float64    `json:"weight"`
	UnitOfWeight            string     `json:"unit_of_weight"`
	EELPFC                  *string    `json:"eel_pfc"`
	ContentsType            *string    `json:"contents_type"`
	ContentsExplanation     *string    `json:"contents_explanation"`
	CustomsCertify          bool       `json:"customs_certify"`
	CustomsSigner           *string    `json:"customs_signer"`
	NonDeliveryOption       *string    `json:"non_delivery_option"`
	RestrictionType         *string    `json:"restriction_type"`
	RestrictionComments     *string    `json:"restriction_comments"`
	CustomsInfoRequired     bool       `json:"customs_info_required"`
	ShippingLabelURL        *string    `json:"shipping_label_url"`
	ShippingLabelFileType   *string    `json:"shipping_label_file_type"`
	ShippingLabelSize       *string    `json:"shipping_label_size"`
	ShippingLabelResolution *string    `json:"shipping_label_resolution"`
	TrackingNumber          *string    `json:"tracking_number"`
	TrackingStatus          *string    `json:"tracking_status"`
	TrackingStatusDetail    *string    `json:"tracking_status_detail"`
	TrackingStatusUpdatedAt *string    `json:"tracking_status_updated_at" schema:"date-time"`
	TrackingDetails         []struct{} `json:"tracking_details"`
	CarrierWeightOz         *string    `json:"carrier_weight_oz"`
	SignedBy                *string    `json:"signed_by"`
	Incoterm                *string    `json:"incoterm"`
	DeliveryConfirmation    *string    `json:"delivery_confirmation"`
	clCommon
}

type clLineItem struct {
	SKUCode                *string  `json:"sku_code"`
	BundleCode             *string  `json:"bundle_code"`
	Quantity               int64    `json:"quantity"`
	CurrencyCode           string   `json:"currency_code"`
	UnitAmountCents        int64    `json:"unit_amount_cents"`
	UnitAmountFloat        float64  `json:"unit_amount_float"`
	FormattedUnitAmount    string   `json:"formatted_unit_amount"`
	OptionsAmountCents     int64    `json:"options_amount_cents"`
	OptionsAmountFloat     float64  `json:"options_amount_float"`
	FormattedOptionsAmount string   `json:"formatted_options_amount"`
	DiscountCents          int64    `json:"discount_cents"`
	DiscountFloat          float64  `json:"discount_float"`
	FormattedDiscount      string   `json:"formatted_discount"`
	TotalAmountCents       int64    `json:"total_amount_cents"`
	TotalAmountFloat       float64  `json:"total_amount_float"`
	FormattedTotalAmount   string   `json:"formatted_total_amount"`
	TaxAmountCents         int64    `json:"tax_amount_cents"`
	TaxAmountFloat         float64  `json:"tax_amount_float"`
	FormattedTaxAmount     string   `json:"formatted_tax_amount"`
	Name                   string   `json:"name"`
	ImageURL               *string  `json:"image_url"`
	DiscountBreakdown      struct{} `json:"discount_breakdown"`
	TaxRate                *float64 `json:"tax_rate"`
	TaxBreakdown           struct{} `json:"tax_breakdown"`
	ItemType               string   `json:"item_type"`
	Frequency              *string  `json:"frequency"`
	CouponCode             *string  `json:"coupon_code"`
	CircuitState           string   `json:"circuit_state"`
	CircuitFailureCount    int64    `json:"circuit_failure_count"`
	clCommon
}

type clCustomer struct {
	Email               *string   `json:"email"`
	Status              string    `json:"status"`
	HasPassword         bool      `json:"has_password"`
	TotalOrdersCount    *int64    `json:"total_orders_count"`
	ShopperReference    *string   `json:"shopper_reference"`
	ProfileID           *string   `json:"profile_id"`
	TaxExemptionCode    *string   `json:"tax_exemption_code"`
	JWTCustomClaim      *struct{} `json:"jwt_custom_claim"`
	AnonymizationInfo   *struct{} `json:"anonymization_info"`
	AnonymizationStatus *string   `json:"anonymization_status"`
	clCommon
}

type clAddress struct {
	Business     bool     `json:"business"`
	FirstName    *string  `json:"first_name"`
	LastName     *string  `json:"last_name"`
	Company      *string  `json:"company"`
	FullName     *string  `json:"full_name"`
	Line1        *string  `json:"line_1"`
	Line2        *string  `json:"line_2"`
	City         *string  `json:"city"`
	ZipCode      *string  `json:"zip_code"`
	StateCode    *string  `json:"state_code"`
	CountryCode  *string  `json:"country_code"`
	Phone        *string  `json:"phone"`
	FullAddress  *string  `json:"full_address"`
	Name         *string  `json:"name"`
	Email        *string  `json:"email"`
	Notes        *string  `json:"notes"`
	Lat          *float64 `json:"lat"`
	Lng          *float64 `json:"lng"`
	IsLocalized  bool     `json:"is_localized"`
	IsGeocoded   bool     `json:"is_geocoded"`
	ProviderName *string  `json:"provider_name"`
	MapURL       *string  `json:"map_url"`
	StaticMapURL *string  `json:"static_map_url"`
	BillingInfo  *string  `json:"billing_info"`
	clCommon
}

type clAuthorization struct {
	Number                  string  `json:"number"`
	PaymentMethodType       *string `json:"payment_method_type"`
	CurrencyCode            string  `json:"currency_code"`
	AmountCents             int64   `json:"amount_cents"`
	AmountFloat             float64 `json:"amount_float"`
	FormattedAmount         string  `json:"formatted_amount"`
	Succeeded               bool    `json:"succeeded"`
	Message                 *string `json:"message"`
	ErrorCode               *string `json:"error_code"`
	ErrorDetail             *string `json:"error_detail"`
	Token                   *string `json:"token"`
	GatewayTransactionID    *string `json:"gateway_transaction_id"`
	CaptureAmountCents      int64   `json:"capture_amount_cents"`
	CaptureAmountFloat      float64 `json:"capture_amount_float"`
	FormattedCaptureAmount  string  `json:"formatted_capture_amount"`
	CaptureBalanceCents     int64   `json:"capture_balance_cents"`
	CaptureBalanceFloat     float64 `json:"capture_balance_float"`
	FormattedCaptureBalance string  `json:"formatted_capture_balance"`
	VoidBalanceCents        int64   `json:"void_balance_cents"`
	VoidBalanceFloat        float64 `json:"void_balance_float"`
	FormattedVoidBalance    string  `json:"formatted_void_balance"`
	clCommon
}

type clCustomerSubscription struct {
	CustomerEmail *string `json:"customer_email"`
	clCommon
}

type clPasswordReset struct {
	CustomerEmail      *string `json:"customer_email"`
	ResetPasswordToken *string `json:"reset_password_token"`
	ResetPasswordAt    *string `json:"reset_password_at" schema:"date-time"`
	clCommon
}

type clImport struct {
	ResourceType     string     `json:"resource_type"`
	Format           string     `json:"format"`
	ParentResourceID *string    `json:"parent_resource_id"`
	Status           string     `json:"status"`
	StartedAt        *string    `json:"started_at" schema:"date-time"`
	CompletedAt      *string    `json:"completed_at" schema:"date-time"`
	InterruptedAt    *string    `json:"interrupted_at" schema:"date-time"`
	Inputs           []struct{} `json:"inputs"`
	InputsSize       int64      `json:"inputs_size"`
	ErrorsCount      int64      `json:"errors_count"`
	WarningsCount    int64      `json:"warnings_count"`
	ProcessedCount   int64      `json:"processed_count"`
	ErrorsLog        struct{}   `json:"errors_log"`
	WarningsLog      struct{}   `json:"warnings_log"`
	SkipErrors       bool       `json:"skip_errors"`
	AttachmentURL    *string    `json:"attachment_url"`
	clCommon
}
