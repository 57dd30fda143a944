"""What happens before `import paddle`, and what is wrong where that fails. Nothing here needs Paddle."""
