"""AWS Textract."""
