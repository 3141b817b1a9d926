"""The report: model, schema, renderers."""
