"""What the model's performance should be before labels say what it is: always told apart from what they say."""
