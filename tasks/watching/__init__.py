"""What arrives after promotion: is the champion still what it was when it was promoted?"""
